"""A TensorFlow graph as nodes and shapes; see ``op_graph``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from nc_sigopt_strategy.backends.op_graph import GraphNode, Shape, elements, product

_OP_TYPES = {
    "Conv2D": "conv2d",
    "Conv3D": "conv3d",
    "DepthwiseConv2dNative": "depthwise_conv2d",
    "MatMul": "matmul",
    "BatchMatMul": "matmul",
    "BatchMatMulV2": "matmul",
    "AvgPool": "pooling",
    "MaxPool": "pooling",
    "AvgPool3D": "pooling",
    "MaxPool3D": "pooling",
    "ConcatV2": "concat",
}
_PASSES_ON = frozenset({"Identity", "Enter"})
_CONVOLUTIONS = frozenset({"conv2d", "conv3d", "depthwise_conv2d"})


def static_shapes(graph_def: Any) -> dict[str, Shape]:
    """Tensor name (``op:0``) to its shape, as TensorFlow infers it when it imports the graph."""
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    return {
        tensor.name: None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
        for operation in graph.get_operations()
        for tensor in operation.outputs
    }


def graph_nodes(graph_def: Any, shapes: Mapping[str, Shape]) -> list[GraphNode]:
    """The nodes of a ``GraphDef``; control inputs are left out.

    Args:
        graph_def: The graph.
        shapes: As ``static_shapes`` gives them, as far as known.
    """
    inputs = {
        node.name: tuple(_tensor(name) for name in node.input if not name.startswith("^"))
        for node in graph_def.node
    }
    outputs: dict[str, dict[str, None]] = {name: {f"{name}:0": None} for name in inputs}
    for tensors in inputs.values():
        for tensor in tensors:
            outputs.setdefault(tensor.split(":")[0], {})[tensor] = None
    kinds = {node.name: node.op for node in graph_def.node}
    nodes = []
    for node in graph_def.node:
        op_type, reads = _OP_TYPES.get(node.op, node.op.lower()), inputs[node.name]
        terms = _terms(node, op_type, [shapes.get(tensor) for tensor in reads])
        constant = len(reads) > 1 and _is_constant(reads[1], kinds, inputs)
        weights = 0.0 if not constant or terms == 0 else elements(shapes.get(reads[1]))
        nodes.append(
            GraphNode(node.name, op_type, reads, tuple(outputs[node.name]), terms, weights)
        )
    return nodes


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _is_constant(
    tensor: str, kinds: Mapping[str, str], inputs: Mapping[str, tuple[str, ...]]
) -> bool:
    name = tensor.split(":")[0]
    seen: set[str] = set()
    # Weights reach a loop's body through Enter; what it carries round comes back to where it was.
    while kinds.get(name) in _PASSES_ON and name not in seen and inputs[name]:
        seen.add(name)
        name = inputs[name][0].split(":")[0]
    return kinds.get(name) == "Const"


def _terms(node: Any, op_type: str, read: Sequence[Shape]) -> float | None:
    if op_type in _CONVOLUTIONS and len(read) > 1:
        kernel = read[1]
        if kernel is None:
            return None
        # Kernels are (height, width, in, out); a depthwise one has (..., in, multiplier).
        return product(kernel[:-2] if op_type == "depthwise_conv2d" else kernel[:-1])
    if op_type == "matmul" and len(read) > 1:
        left = read[0]
        if not left:
            return None
        transposed = any(node.attr[key].b for key in ("transpose_a", "adj_x"))
        return product([left[-2] if transposed else left[-1]])
    if op_type == "pooling":
        return product(node.attr["ksize"].list.i)
    return 0.0
