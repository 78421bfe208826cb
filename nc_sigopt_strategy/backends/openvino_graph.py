"""An OpenVINO model's graph as ``GraphNode`` objects, and what it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov

from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.backends.op_graph import GraphNode, Shape

_CONVOLUTIONS = {
    "Convolution": "conv2d",
    "GroupConvolution": "group_conv2d",
    "ConvolutionBackpropData": "conv2d_transpose",
    "GroupConvolutionBackpropData": "group_conv2d_transpose",
}
# Where the weights of a convolution, plain or transposed, have its input channels.
_INPUT_AXIS = {
    "Convolution": 1,
    "GroupConvolution": 2,
    "ConvolutionBackpropData": 0,
    "GroupConvolutionBackpropData": 1,
}
# The types that multiply most, and have weights that pay in int8.
MULTIPLYING = (*_CONVOLUTIONS, "MatMul")
_CONSTANT = "Constant"


def openvino_inputs(model: ov.Model | ov.CompiledModel) -> list[ModelInput]:
    """The inputs of a model, in their order, by names that are the same in every process."""
    return [
        ModelInput(_port_name(port), shape_of(port), _dtype(port.get_element_type()))
        for port in model.inputs
    ]


def shape_of(output: Any) -> Shape:
    """A port's shape; ``None`` for an axis of any length, and for an unknown rank."""
    shape = output.get_partial_shape()
    if shape.rank.is_dynamic:
        return None
    return tuple(None if axis.is_dynamic else axis.get_length() for axis in shape)


def constant_nodes(model: ov.Model) -> set[str]:
    """Names of constants, and of nodes that only constants reach."""
    found: set[str] = set()
    for node in model.get_ordered_ops():
        sources = [port.get_source_output().get_node() for port in node.inputs()]
        if node.get_type_name() == _CONSTANT or (
            sources and all(source.get_friendly_name() in found for source in sources)
        ):
            found.add(node.get_friendly_name())
    return found


def inferred_shapes(model: ov.Model) -> dict[str, Shape]:
    """Tensor to shape; a tensor's name is its node's and the number of the output."""
    return {
        _tensor(output): shape_of(output) for node in model.get_ops() for output in node.outputs()
    }


def graph_nodes(model: ov.Model) -> list[GraphNode]:
    """All nodes that are no constants, in graph order."""
    constants = constant_nodes(model)
    return [
        _graph_node(node, constants)
        for node in model.get_ordered_ops()
        if node.get_friendly_name() not in constants
    ]


def _graph_node(node: Any, constants: set[str]) -> GraphNode:
    sources = [port.get_source_output() for port in node.inputs()]
    weights = [source for source in sources if _owner(source) in constants]
    return GraphNode(
        name=node.get_friendly_name(),
        op_type=_op_type(node),
        inputs=tuple(_tensor(source) for source in sources if _owner(source) not in constants),
        outputs=tuple(_tensor(output) for output in node.outputs()),
        terms=_terms(node),
        weight_elements=_elements(weights) if node.get_type_name() in MULTIPLYING else 0.0,
    )


def _terms(node: Any) -> float | None:
    """Products behind one element of a node's output; see ``GraphNode``."""
    kind = node.get_type_name()
    if kind == "MatMul":
        shape = shape_of(node.input_value(0))
        if not shape:
            return None
        transposed = bool(node.get_attributes().get("transpose_a")) and len(shape) > 1
        depth = shape[-2 if transposed else -1]
        return None if depth is None else float(depth)
    if kind not in _CONVOLUTIONS:
        return 0.0
    weights = shape_of(node.input_value(1))
    if weights is None or any(size is None for size in weights):
        return None
    sizes = [size or 0 for size in weights]
    axis = _INPUT_AXIS[kind]
    if not kind.endswith("BackpropData"):
        return float(math.prod(sizes[axis:]))
    # Every input element is spread over a window of outputs.
    given, made = (_spatial(port) for port in (node.input_value(0), node.output(0)))
    window = sizes[axis] * math.prod(sizes[axis + 2 :])
    return window * given / made if given and made else None


def _spatial(port: Any) -> float | None:
    """Elements of one channel."""
    sizes = [size or 0 for size in (shape_of(port) or ())[2:]]
    return float(math.prod(sizes)) if sizes else None


def _op_type(node: Any) -> str:
    kind = str(node.get_type_name())
    if kind == "GroupConvolution":
        weights = shape_of(node.input_value(1))
        if weights and weights[2] == 1:
            return "depthwise_conv2d"
    return _CONVOLUTIONS.get(kind, kind.lower())


def _elements(outputs: Sequence[Any]) -> float | None:
    shapes = [shape_of(output) for output in outputs]
    if any(shape is None or None in shape for shape in shapes):
        return None
    return float(sum(math.prod(size or 0 for size in shape or ()) for shape in shapes))


def _owner(output: Any) -> str:
    return str(output.get_node().get_friendly_name())


def _tensor(output: Any) -> str:
    return f"{_owner(output)}:{output.get_index()}"


def _port_name(port: Any) -> str:
    names = port.get_names()
    return (
        min(names, key=lambda name: (len(name), name))
        if names
        else str(port.get_node().get_friendly_name())
    )


def _dtype(element_type: Any) -> np.dtype[Any] | None:
    if element_type in (ov.Type.bf16, ov.Type.dynamic):
        return None
    try:
        return np.dtype(element_type.to_dtype())
    except (RuntimeError, TypeError):
        return None
