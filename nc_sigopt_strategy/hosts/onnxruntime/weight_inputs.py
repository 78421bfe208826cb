"""What weights of ONNX nodes are multiplied with, from the values that the nodes read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.hosts.rounding.layer import Layer

Array = NDArray[Any]


def layer_of(view: GraphView, node: str, weight: str) -> Layer | None:
    """A weight as a layer; ``None`` for one whose sums are not known here.

    Args:
        view: The model.
        node: The node that reads it.
        weight: Its initializer.
    """
    kind = view.nodes[node].op_type
    shape = tuple(view.constants[weight].dims)
    if kind == "Conv":
        layer = Layer(node, weight, shape, view.attribute(node, "group", 1))
    elif kind == "Gemm":
        if view.attribute(node, "transA", 0):
            return None
        layer = Layer(node, weight, shape, axis=0 if view.attribute(node, "transB", 0) else 1)
    else:
        if len(shape) != 2 or view.nodes[node].input[1] != weight:
            return None
        layer = Layer(node, weight, shape, axis=1)
    return layer if layer.can_be_fitted else None


def inputs_of(
    view: GraphView, layer: Layer, values: Array, limit: int, rng: np.random.Generator
) -> Array | None:
    """What is multiplied with the weights at some places.

    Args:
        view: Of the model.
        layer: Whose input it is.
        values: That input, of one batch.
        limit: At how many places at most.
        rng: Chooses them where there are more.

    Returns:
        float32, (groups, places, weights of a sum); ``None`` where the values do not fit.
    """
    if view.nodes[layer.node].op_type == "Conv":
        return _patches(view, layer, values, limit, rng)
    flat = values.reshape(-1, values.shape[-1])
    if flat.shape[1] != layer.count or not len(flat):
        return None
    return np.asarray(flat[_some(len(flat), limit, rng)], np.float32)[None]


def _patches(
    view: GraphView, layer: Layer, values: Array, limit: int, rng: np.random.Generator
) -> Array | None:
    kernel = layer.shape[2:]
    axes = len(kernel)
    strides = list(view.attribute(layer.node, "strides", [1] * axes))
    dilations = list(view.attribute(layer.node, "dilations", [1] * axes))
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    pads = _pads(view, layer.node, values.shape[2:], reach, strides)
    padded = np.pad(values, [(0, 0), (0, 0), *pads])
    if any(size < wide for size, wide in zip(padded.shape[2:], reach, strict=True)):
        return None
    view_of: Any = np.lib.stride_tricks.sliding_window_view
    windows = view_of(padded, tuple(reach), tuple(range(2, 2 + axes)))
    strided = tuple(slice(None, None, step) for step in strides)
    dilated = tuple(slice(None, None, step) for step in dilations)
    picked = (slice(None), slice(None), *strided, *dilated)
    windows = windows[picked]
    counts = (windows.shape[0], *windows.shape[2 : 2 + axes])
    places = np.unravel_index(_some(int(np.prod(counts)), limit, rng), counts)
    # The places come first in the result, as they do wherever a slice stands between them.
    picked_places = (places[0], slice(None), *places[1:])
    chosen = windows[picked_places]
    grouped = chosen.reshape(len(chosen), layer.groups, layer.count)
    return np.asarray(grouped.transpose(1, 0, 2), np.float32)


def _pads(
    view: GraphView,
    node: str,
    sizes: tuple[int, ...],
    reach: list[int],
    strides: list[int],
) -> list[tuple[int, int]]:
    axes = len(sizes)
    automatic = view.attribute(node, "auto_pad", b"NOTSET")
    if automatic in (b"NOTSET", b""):
        given = list(view.attribute(node, "pads", [0] * (2 * axes)))
        return list(zip(given[:axes], given[axes:], strict=True))
    if automatic == b"VALID":
        return [(0, 0)] * axes
    found = []
    for size, wide, step in zip(sizes, reach, strides, strict=True):
        missing = max((-(-size // step) - 1) * step + wide - size, 0)
        less, more = missing // 2, missing - missing // 2
        found.append((less, more) if automatic == b"SAME_UPPER" else (more, less))
    return found


def _some(count: int, limit: int, rng: np.random.Generator) -> Array:
    return np.arange(count) if count <= limit else np.sort(rng.choice(count, limit, False))
