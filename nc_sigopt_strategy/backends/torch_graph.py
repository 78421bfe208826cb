"""A PyTorch graph as ``GraphNode`` objects: sizes of its ops and who reads whom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from nc_sigopt_strategy.backends.op_graph import GraphNode, Shape

aten = torch.ops.aten

CONVOLUTIONS = (aten.conv1d.default, aten.conv2d.default)
LINEAR = aten.linear.default
# Ops that have constant weights and multiply by them.
WEIGHTED = (*CONVOLUTIONS, LINEAR)


def type_of_node(node: Any) -> str:
    """The normalised type of an op, such as ``depthwise_conv2d``; of others its aten name."""
    kind = kind_of_node(node)
    if node.target not in CONVOLUTIONS:
        return "matmul" if node.target is LINEAR else kind
    weights = shape_of(node.args[1])
    groups = _groups(node)
    if groups == 1 or weights is None:
        return kind
    return f"depthwise_{kind}" if weights[1] == 1 else f"group_{kind}"


def kind_of_node(node: Any) -> str:
    """The aten name of an op without its overload, such as ``conv2d``."""
    name = getattr(node.target, "__name__", str(node.target))
    return str(name).split(".")[0]


def shape_of(value: Any) -> Shape:
    """The shape of what a node gives; ``None`` for an axis of any length."""
    known = value.meta.get("val") if isinstance(value, torch.fx.Node) else None
    if not isinstance(known, torch.Tensor):
        return None
    return sizes_of(known)


def sizes_of(tensor: Any) -> Shape:
    """The shape of a traced tensor; ``None`` for an axis of any length."""
    return tuple(_size(size) for size in tensor.shape)


def _size(size: Any) -> int | None:
    if isinstance(size, int):
        return size
    # Tracing may have found out later that a free axis can have one length only.
    expression = size.node.expr
    return int(expression) if expression.is_number else None


def graph_nodes(
    module: torch.fx.GraphModule, names: Mapping[str, str]
) -> tuple[list[GraphNode], dict[str, Shape]]:
    """All nodes that compute, and the shapes of what they give.

    Args:
        module: As ``torch.export`` made it.
        names: Name of an op to its node's; other nodes keep their own names.
    """
    named = {node: op for op, node in names.items()}
    nodes: list[GraphNode] = []
    shapes: dict[str, Shape] = {}
    for node in module.graph.nodes:
        if node.op not in ("placeholder", "call_function"):
            continue
        shapes[node.name] = shape_of(node)
        sources = node.all_input_nodes
        nodes.append(
            GraphNode(
                name=named.get(node.name, node.name),
                op_type=type_of_node(node) if node.op == "call_function" else "placeholder",
                inputs=tuple(source.name for source in sources if source.op != "get_attr"),
                outputs=(node.name,),
                terms=_terms(node),
                weight_elements=_weights(node),
            )
        )
    return nodes, shapes


def _terms(node: Any) -> float | None:
    """Products behind one element of a node's output; see ``GraphNode``."""
    if node.target not in WEIGHTED:
        return 0.0
    weights = shape_of(node.args[1])
    if weights is None or any(size is None for size in weights):
        return None
    return float(math.prod(size or 0 for size in weights[1:]))


def _weights(node: Any) -> float | None:
    if node.target not in WEIGHTED:
        return 0.0
    shapes = [shape_of(source) for source in node.all_input_nodes if source.op == "get_attr"]
    if any(shape is None or None in shape for shape in shapes):
        return None
    return float(sum(math.prod(size or 0 for size in shape or ()) for shape in shapes))


def _groups(node: Any) -> int:
    position = 6
    given = node.args[position] if len(node.args) > position else node.kwargs.get("groups", 1)
    return int(given)
