"""TensorFlow: second moments of what weights are multiplied with, computed inside of the graph.

Of a convolution's inputs a sample of places is looked at. Cutting the windows out and multiplying
them is left to TensorFlow, so that no activation leaves the session: only sums of products do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.backends.tensorflow_reads import node_of
from nc_sigopt_strategy.hosts.rounding.layer import Layer

_PREFIX = "nc_sigopt/moments"
# The golden section: multiples of it fall evenly into [0, 1) and into no pattern of an image.
_GOLDEN = (5**0.5 - 1) / 2


class Fetched(NamedTuple):
    """Names of what a session gives of one layer, for one batch.

    Attributes:
        products: As ``Moments.products``.
        sums: As ``Moments.sums``.
        places: How many, a number.
    """

    products: str
    sums: str
    places: str


def layers_of(graph_def: Any) -> dict[str, Layer]:
    """Name of a weight to its layer, for the constants of which the inputs are known.

    Convolutions and depthwise ones of images with channels last, and products with matrices, whose
    weight nothing else reads.

    Args:
        graph_def: Its large constants may be without values.
    """
    nodes = {node.name: node for node in graph_def.node}
    readers: dict[str, int] = {}
    for node in graph_def.node:
        for read in node.input:
            name = node_of(read)
            readers[name] = readers.get(name, 0) + 1
    found = {}
    for node in graph_def.node:
        if node.op not in _LAYERS or len(node.input) < 2:
            continue
        weight = nodes.get(node_of(node.input[1]))
        if weight is None or weight.op != "Const" or readers[weight.name] != 1:
            continue
        if weight.attr["dtype"].type != tf.float32.as_datatype_enum:
            continue
        shape = tuple(dim.size for dim in weight.attr["value"].tensor.tensor_shape.dim)
        layer = _LAYERS[node.op](node, weight.name, shape)
        if layer is not None and layer.can_be_fitted:
            found[weight.name] = layer
    return found


def with_moments(
    graph_def: Any, layers: Mapping[str, Layer], batches: int
) -> tuple[Any, dict[str, Fetched]]:
    """A graph with nodes that give the moments of layers' inputs.

    Args:
        graph_def: Without loops and branches; it is not changed.
        layers: By weight.
        batches: How many are run at most; each gives its part of the places.

    Returns:
        A new ``GraphDef``, and by weight what to fetch; layers whose input has another size than
        their weight are left out.
    """
    nodes = {node.name: node for node in graph_def.node}
    fetched = {}
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        for position, (weight, layer) in enumerate(layers.items()):
            node = nodes[layer.node]
            values = graph.get_tensor_by_name(_with_port(node.input[0]))
            limit = max(layer.places // max(batches, 1), 1)
            with tf.name_scope(f"{_PREFIX}/{position}/"):
                inputs = _inputs(node, layer, values, limit)
                if inputs is None:
                    continue
                made = (
                    tf.matmul(inputs, inputs, transpose_a=True),
                    tf.reduce_sum(inputs, axis=1),
                    tf.shape(inputs)[1],
                )
                fetched[weight] = Fetched(*(tensor.name for tensor in made))
        return graph.as_graph_def(), fetched


def read_by(graph_def: Any, layers: Mapping[str, Layer]) -> dict[str, str]:
    """Name of a weight to the tensor, with its port, that it is multiplied with."""
    nodes = {node.name: node for node in graph_def.node}
    return {name: _with_port(nodes[layer.node].input[0]) for name, layer in layers.items()}


def _conv_layer(node: Any, weight: str, shape: tuple[int, ...]) -> Layer | None:
    if len(shape) != 4 or not _channels_last(node):
        return None
    return Layer(node.name, weight, shape, axis=3)


def _depthwise_layer(node: Any, weight: str, shape: tuple[int, ...]) -> Layer | None:
    if len(shape) != 4 or not _channels_last(node):
        return None
    height, width, channels, multiplier = shape
    flat = (height, width, channels * multiplier)
    return Layer(node.name, weight, flat, groups=channels, axis=2)


def _matmul_layer(node: Any, weight: str, shape: tuple[int, ...]) -> Layer | None:
    if len(shape) != 2 or node.attr["transpose_a"].b or node.attr["transpose_b"].b:
        return None
    return Layer(node.name, weight, shape, axis=1)


_LAYERS: Mapping[str, Callable[[Any, str, tuple[int, ...]], Layer | None]] = {
    "Conv2D": _conv_layer,
    "DepthwiseConv2dNative": _depthwise_layer,
    "MatMul": _matmul_layer,
}


def _inputs(node: Any, layer: Layer, values: Any, limit: int) -> Any:
    """What is multiplied with the weights at some places, (groups, places, weights of a sum)."""
    if values.shape.rank is None or values.dtype != tf.float32:
        return None
    if node.op == "MatMul":
        if values.shape.rank != 2 or values.shape[-1] != layer.count:
            return None
        return tf.gather(values, _spread_out(tf.shape(values)[0], limit))[None]
    height, width = layer.shape[:2]
    channels = layer.groups if node.op == "DepthwiseConv2dNative" else layer.shape[2]
    if values.shape.rank != 4 or values.shape[3] != channels:
        return None
    windows = _windows(node, (height, width), values, limit)
    if node.op == "DepthwiseConv2dNative":
        flat = tf.reshape(windows, (-1, height * width, channels))
        return tf.transpose(flat, (2, 0, 1))
    return tf.reshape(windows, (1, -1, layer.count))


def _windows(node: Any, kernel: tuple[int, int], values: Any, limit: int) -> Any:
    """What a kernel sees at some places, (places, height, width, channels)."""
    strides = _pair(node, "strides")
    dilations = _pair(node, "dilations")
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    sizes = tf.shape(values)
    pads = _pads(node, [sizes[1], sizes[2]], reach, strides)
    counts = [
        (sizes[axis + 1] + sum(pads[axis]) - reach[axis]) // strides[axis] + 1 for axis in range(2)
    ]
    places = _spread_out(sizes[0] * counts[0] * counts[1], limit)
    begins = [
        places // counts[1] % counts[0] * strides[0] - pads[0][0],
        places % counts[1] * strides[1] - pads[1][0],
    ]
    rows, columns = (
        begins[axis][:, None] + np.arange(kernel[axis]) * dilations[axis] for axis in range(2)
    )
    where = tf.broadcast_dynamic_shape(tf.shape(rows[:, :, None]), tf.shape(columns[:, None, :]))
    images = tf.broadcast_to((places // (counts[0] * counts[1]))[:, None, None], where)
    rows = tf.broadcast_to(rows[:, :, None], where)
    columns = tf.broadcast_to(columns[:, None, :], where)
    # Padding is what lies outside; a padded copy of the values would be larger than what is read.
    inside = (rows >= 0) & (rows < sizes[1]) & (columns >= 0) & (columns < sizes[2])
    rows = tf.clip_by_value(rows, 0, sizes[1] - 1)
    columns = tf.clip_by_value(columns, 0, sizes[2] - 1)
    found = tf.gather_nd(values, tf.stack([images, rows, columns], axis=-1))
    return tf.where(inside[..., None], found, tf.zeros_like(found))


def _spread_out(count: Any, limit: int) -> Any:
    """Numbers below ``count``, all or so many, each somewhere in its part of the range."""
    wanted = tf.minimum(count, limit)
    number = tf.cast(tf.range(wanted), tf.float64)
    inside = (number + number * _GOLDEN % 1.0) * tf.cast(count, tf.float64)
    chosen = tf.cast(inside / tf.cast(tf.maximum(wanted, 1), tf.float64), tf.int32)
    return tf.where(wanted < count, chosen, tf.range(wanted))


def _pads(node: Any, sizes: list[Any], reach: list[int], strides: list[int]) -> list[Any]:
    padding = node.attr["padding"].s
    if padding == b"EXPLICIT":
        given = list(node.attr["explicit_paddings"].list.i)
        return [given[2:4], given[4:6]]
    if padding != b"SAME":
        return [(0, 0), (0, 0)]
    found = []
    for size, wide, step in zip(sizes, reach, strides, strict=True):
        missing = tf.maximum(((size + step - 1) // step - 1) * step + wide - size, 0)
        found.append((missing // 2, missing - missing // 2))
    return found


def _pair(node: Any, attribute: str) -> list[int]:
    given = list(node.attr[attribute].list.i)
    return given[1:3] if len(given) == 4 else [1, 1]


def _channels_last(node: Any) -> bool:
    return node.attr["data_format"].s in (b"", b"NHWC")


def _with_port(read: str) -> str:
    return read if ":" in read else f"{read}:0"
