"""An ONNX graph as nodes and shapes; see ``op_graph``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from nc_sigopt_strategy.backends.op_graph import GraphNode, Shape, elements, product

logger = logging.getLogger("nc_sigopt_strategy")

_FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
    onnx.TensorProto.DOUBLE,
)
_OP_TYPES = {"MatMul": "matmul", "Gemm": "matmul"}
_CONVOLUTION = "conv"


def inferred_shapes(model: Any) -> dict[str, Shape]:
    """Tensor name to its shape, as ONNX infers it; constants included."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes: dict[str, Shape] = {
        tensor.name: _shape(tensor.type.tensor_type)
        for tensor in (*graph.input, *graph.value_info, *graph.output)
    }
    shapes.update({constant.name: tuple(constant.dims) for constant in graph.initializer})
    return shapes


def known_shapes(model: Any) -> dict[str, Shape]:
    """``inferred_shapes``, none where ONNX fails at it: sizes help, and a run does without."""
    try:
        return inferred_shapes(model)
    except Exception as error:  # what ONNX raises depends on the op that it cannot infer
        logger.debug("No shapes for the op graph: %s", error)
        return {}


def integer_ops(model: Any) -> frozenset[str]:
    """Names of the nodes that compute no numbers to be rounded: shapes, positions, flags."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception as error:  # as above
        logger.debug("No types for the op graph: %s", error)
        return frozenset()
    types = {
        tensor.name: tensor.type.tensor_type.elem_type
        for tensor in (*graph.input, *graph.value_info, *graph.output)
    }
    known = ((node.name, types.get(node.output[0], 0)) for node in graph.node if node.output)
    return frozenset(name for name, kind in known if kind and kind not in _FLOATS)


def graph_nodes(model: Any, shapes: Mapping[str, Shape]) -> list[GraphNode]:
    """The nodes of a ``ModelProto``.

    Args:
        model: The model.
        shapes: As ``inferred_shapes`` gives them, as far as known.
    """
    constants = {constant.name for constant in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        read = [shapes.get(tensor) for tensor in node.input]
        op_type = _op_type(node.op_type, attributes, read)
        terms = _terms(node.op_type, op_type, attributes, read)
        constant = len(node.input) > 1 and node.input[1] in constants
        weights = 0.0 if not constant or terms == 0 else elements(read[1])
        # Optional inputs and outputs that are left out have empty names.
        tensors = tuple(filter(None, node.input)), tuple(filter(None, node.output))
        nodes.append(GraphNode(node.name, op_type, *tensors, terms, weights))
    return nodes


def _shape(tensor_type: Any) -> Shape:
    if not tensor_type.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else None for dim in tensor_type.shape.dim
    )


def _op_type(kind: str, attributes: Mapping[str, Any], read: Sequence[Shape]) -> str:
    if kind == "Conv":
        kernel = read[1] if len(read) > 1 else None
        if kernel is None:
            return "conv2d"
        groups = attributes["group"].i if "group" in attributes else 1
        # Kernels are (out, in / groups, ...): with one input channel a group it is depthwise.
        depthwise = "depthwise_" if groups > 1 and kernel[1] == 1 else ""
        return f"{depthwise}{_CONVOLUTION}{len(kernel) - 2}d"
    return "pooling" if kind.endswith("Pool") else _OP_TYPES.get(kind, kind.lower())


def _terms(
    kind: str, op_type: str, attributes: Mapping[str, Any], read: Sequence[Shape]
) -> float | None:
    if kind == "Conv":
        kernel = read[1] if len(read) > 1 else None
        return None if kernel is None else product(kernel[1:])
    if op_type == "matmul":
        left = read[0]
        if not left:
            return None
        transposed = "transA" in attributes and attributes["transA"].i
        return product([left[-2] if transposed else left[-1]])
    if op_type == "pooling":
        if "kernel_shape" in attributes:
            return product(attributes["kernel_shape"].ints)
        # A global one: its window is the whole image.
        image = read[0]
        return None if image is None else product(image[2:])
    return 0.0
