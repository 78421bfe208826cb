"""Keras's image classifiers as frozen inference graphs, the way TensorFlow's own model files are.

Batch normalization is folded into the convolution before it. Left as Keras 3 writes it (five
element-wise ops), Neural Compressor fuses it only in part, and its int8 depthwise convolutions
then give chance-level accuracy (0.10, against 0.93 in fp32, for MobileNet_v1 on digits).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_strategy.errors import ModelError

INPUT = "input"
OUTPUT = "logits"

_MADE_UP = re.compile(r"__(\d+)(:\d+)?$")
# Without effect in inference, or a reshape that the op after it does anyway.
_NOTHING_TO_INFER = frozenset({"Dropout", "Reshape"})


def mobilenet_v1(image_size: int = 224, classes: int = 1000, seed: int = 0) -> Any:
    """MobileNet_v1 (Howard et al., arXiv:1704.04861) with random weights, as a ``GraphDef``.

    Its latency is real, its accuracy means nothing.

    Args:
        image_size: Side of the input images in pixels, at least 32.
        classes: Outputs.
        seed: Of the weights.
    """
    return _untrained("MobileNet", image_size, classes, seed)


def resnet50_v1(image_size: int = 224, classes: int = 1000, seed: int = 0) -> Any:
    """ResNet50_v1 (He et al., arXiv:1512.03385) with random weights; see ``mobilenet_v1``."""
    return _untrained("ResNet50", image_size, classes, seed)


def _untrained(architecture: str, image_size: int, classes: int, seed: int) -> Any:
    tf = needed("tensorflow")
    tf.keras.utils.set_random_seed(seed)
    model = getattr(tf.keras.applications, architecture)(
        input_shape=(image_size, image_size, 3),
        weights=None,
        classes=classes,
        classifier_activation=None,
    )
    graph_def = frozen_graph(model)
    tf.keras.backend.clear_session()
    return graph_def


def to_onnx(graph_def: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> bytes:
    """A frozen graph as a serialized ONNX model of opset 13, with the same inputs and outputs."""
    model, _ = needed("tf2onnx").convert.from_graph_def(
        graph_def,
        input_names=[f"{name}:0" for name in inputs],
        output_names=[f"{name}:0" for name in outputs],
        opset=13,
    )
    _rename_made_up(model.graph)
    return bytes(model.SerializeToString())


def _rename_made_up(graph: Any) -> None:
    """Number the names that tf2onnx made up (``Conv__853``) in the order in which they appear.

    It counts through everything that a process has converted, and names a constant after any one
    of the ops that share it: the same model would get other names each time.
    """
    new: dict[str, str] = {}

    def renamed(name: str, kind: str = "tensor") -> str:
        if _MADE_UP.search(name):
            return new.setdefault(name, f"{kind}_{len(new) + 1}")
        return name

    for node in graph.node:
        node.name = renamed(node.name, node.op_type)
        for names in (node.input, node.output):
            names[:] = list(map(renamed, names))
    for tensor in (*graph.initializer, *graph.value_info):
        tensor.name = renamed(tensor.name)
    for info in (*graph.input, *graph.value_info, *graph.output):
        for dimension in info.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = renamed(dimension.dim_param)
    # They come in the order of a set of names.
    for tensors in (graph.initializer, graph.value_info):
        ordered = sorted(tensors, key=lambda tensor: tensor.name)
        del tensors[:]
        tensors.extend(ordered)


class UnknownLayerError(ModelError):
    """A Keras model has a layer, or a setting of one, that is not written here."""


def frozen_graph(model: Any) -> Any:
    """A functional Keras model with one input and one output as a ``GraphDef``.

    The input op is called ``input``, the output op ``logits``, the others as their layers.

    Raises:
        UnknownLayerError: The model has a layer that is not known here.
    """
    tf = needed("tensorflow")
    # Read before the graph is entered: within it, variables have no values.
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    graph = tf.Graph()
    with graph.as_default():
        emitter = _Emitter(tf, model, weights)
        for layer in model.layers:
            emitter.emit(layer)
        result = emitter.values[id(model.output)]
        tf.reshape(result, (-1, result.shape[-1]), name=OUTPUT)
    return graph.as_graph_def()


class _Emitter:
    """Writes the ops of one layer after the other into the current graph."""

    def __init__(self, tf: Any, model: Any, weights: Mapping[str, list[npt.NDArray[Any]]]) -> None:
        self._tf = tf
        self._weights = weights
        # By identity of Keras's symbolic tensors.
        self.values: dict[int, Any] = {}
        self._consumers: dict[int, list[Any]] = {}
        self._same_padded: set[int] = set()
        self._writers: dict[str, Callable[..., Any]] = {
            "InputLayer": self._input,
            "Conv2D": self._convolution,
            "DepthwiseConv2D": self._convolution,
            "ReLU": self._relu,
            "Activation": self._activation,
            "Add": self._add,
            "ZeroPadding2D": self._padding,
            "MaxPooling2D": self._max_pooling,
            "GlobalAveragePooling2D": self._mean_pooling,
            "Dense": self._dense,
        }
        for layer in model.layers:
            for tensor in _inputs(layer):
                self._consumers.setdefault(id(tensor), []).append(layer)

    def emit(self, layer: Any) -> None:
        """Write the ops of a layer, unless they were written with an earlier one's.

        Raises:
            UnknownLayerError: The layer, or a setting of it, is not known here.
        """
        if id(layer.output) in self.values:
            return
        kind = type(layer).__name__
        values = [self.values[id(tensor)] for tensor in _inputs(layer)]
        if kind not in self._writers and kind not in _NOTHING_TO_INFER:
            raise UnknownLayerError(
                f"The Keras model has a layer of kind {kind} that is not known here.",
                "Install the TensorFlow version of the constraints file.",
            )
        writer = self._writers.get(kind)
        self.values[id(layer.output)] = values[0] if writer is None else writer(layer, *values)

    def _input(self, layer: Any) -> Any:
        return self._tf.compat.v1.placeholder(self._tf.float32, layer.output.shape, name=INPUT)

    def _add(self, layer: Any, *values: Any) -> Any:
        return self._tf.add(*values, name=layer.name)

    def _max_pooling(self, layer: Any, value: Any) -> Any:
        return self._tf.nn.max_pool2d(
            value, layer.pool_size, layer.strides, layer.padding.upper(), name=layer.name
        )

    def _mean_pooling(self, layer: Any, value: Any) -> Any:
        # What TF-Slim's models have here, and an op that can run in int8.
        return self._tf.nn.avg_pool2d(
            value, value.shape[1:3], strides=1, padding="VALID", name=layer.name
        )

    def _activation(self, layer: Any, value: Any) -> Any:
        return self._activated(layer, value, layer.name)

    def _relu(self, layer: Any, value: Any) -> Any:
        if layer.max_value not in (None, 6) or layer.negative_slope or layer.threshold:
            raise UnknownLayerError(f"The ReLU {layer.name} has settings that are not known here.")
        relu = self._tf.nn.relu if layer.max_value is None else self._tf.nn.relu6
        return relu(value, name=layer.name)

    def _activated(self, layer: Any, value: Any, name: str) -> Any:
        """The activation of a layer, if it has one besides the linear one."""
        kind = layer.activation.__name__
        if kind == "linear":
            return value
        if kind not in ("relu", "relu6", "softmax"):
            raise UnknownLayerError(
                f"The layer {layer.name} has the activation {kind}, which is not known here."
            )
        return getattr(self._tf.nn, kind)(value, name=name)

    def _convolution(self, layer: Any, value: Any) -> Any:
        """A convolution with the batch normalization that follows it, if one does."""
        tf = self._tf
        depthwise = type(layer).__name__ == "DepthwiseConv2D"
        plain = set(layer.dilation_rate) == {1} and getattr(layer, "groups", 1) == 1
        if not plain or layer.data_format != "channels_last":
            raise UnknownLayerError(
                f"The convolution {layer.name} has settings that are not known here."
            )
        kernel, *biases = self._weights[layer.name]
        bias = biases[0] if biases else np.zeros(1, np.float32)
        following = self._following_normalization(layer)
        if following is not None:
            gamma, beta, mean, variance = self._weights[following.name]
            factor = gamma / np.sqrt(variance + following.epsilon)
            # Kernels are (height, width, in, out), depthwise ones (height, width, channels, 1).
            kernel = kernel * (factor[:, np.newaxis] if depthwise else factor)
            bias = beta + (bias - mean) * factor if biases else beta - mean * factor
        same = layer.padding == "same" or id(_inputs(layer)[0]) in self._same_padded
        stride_y, stride_x = layer.strides
        value = (tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d)(
            value,
            tf.constant(kernel.astype(np.float32), name=f"{layer.name}/kernel"),
            strides=(1, stride_y, stride_x, 1),
            padding="SAME" if same else "VALID",
            name=f"{layer.name}/convolution",
        )
        offset = tf.constant(np.asarray(bias, np.float32), name=f"{layer.name}/bias")
        value = tf.nn.bias_add(value, offset, name=f"{layer.name}/bias_add")
        if following is not None:
            self.values[id(following.output)] = value
            return value
        return self._activated(layer, value, f"{layer.name}/activation")

    def _following_normalization(self, layer: Any) -> Any | None:
        consumers = self._consumers.get(id(layer.output), [])
        alone = len(consumers) == 1 and type(consumers[0]).__name__ == "BatchNormalization"
        linear = layer.activation.__name__ == "linear"
        if not alone or not linear or not (consumers[0].scale and consumers[0].center):
            return None
        return consumers[0]

    def _padding(self, layer: Any, value: Any) -> Any:
        """Padding of its own, or none where the next convolution's SAME padding does it.

        Keras's MobileNet pads stride-2 inputs at the bottom and right and convolves with VALID
        padding; on inputs of even size SAME does just that, in one op.
        """
        (top, bottom), (left, right) = layer.padding
        if (top, left) == (0, 0):
            self._same_padded.add(id(layer.output))
            return value
        amounts = [[0, 0], [top, bottom], [left, right], [0, 0]]
        return self._tf.pad(value, amounts, name=layer.name)

    def _dense(self, layer: Any, value: Any) -> Any:
        tf = self._tf
        kernel, bias = self._weights[layer.name]
        rows = tf.reshape(value, (-1, kernel.shape[0]), name=f"{layer.name}/rows")
        product = tf.matmul(
            rows, tf.constant(kernel, name=f"{layer.name}/kernel"), name=f"{layer.name}/product"
        )
        offset = tf.constant(bias, name=f"{layer.name}/bias")
        value = tf.nn.bias_add(product, offset, name=f"{layer.name}/bias_add")
        return self._activated(layer, value, f"{layer.name}/activation")


def _inputs(layer: Any) -> list[Any]:
    """The symbolic tensors that a layer takes; none for an input layer."""
    if type(layer).__name__ == "InputLayer":
        return []
    return list(layer.input) if isinstance(layer.input, (list, tuple)) else [layer.input]
