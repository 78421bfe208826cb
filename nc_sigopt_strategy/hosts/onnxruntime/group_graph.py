"""Groups as one node each: their sizes, and between which of them a change of type converts.

An edge stands for a tensor that is int8 if its maker is and float if that is float, so that a
reader of the other type has it converted. Where a float-only node stands between two groups, or
the result is float anyway (``Group.has_float_result``), each of the two converts for itself: that
is part of its own cost, and there is no edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.backends.onnx_graph import graph_nodes
from nc_sigopt_strategy.backends.op_graph import GraphNode, Shape, reduce_to_ops
from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.hosts.onnxruntime.grouping import Group, Grouping
from nc_sigopt_strategy.space.ops import OpKey


def group_graph(
    view: GraphView, grouping: Grouping, shapes: Mapping[str, Shape], ops: Sequence[OpKey]
) -> dict[str, Any]:
    """Sizes of groups and who reads whom, as ``Backend.op_graph`` gives them.

    Args:
        view: The model.
        grouping: Of its nodes.
        shapes: Tensor to its shape, as far as known.
        ops: Keys of the groups that are wanted.
    """
    single = {node.name: node for node in graph_nodes(view.model, shapes)}
    may_be_int8 = _may_be_int8(view, grouping)
    contracted = [_contracted(view, group, single, may_be_int8) for group in grouping.groups]
    passed = [
        GraphNode(
            name,
            single[name].op_type,
            tuple(tensor for tensor in view.inputs(name) if tensor in may_be_int8),
            single[name].outputs,
        )
        for name in view.nodes
        if name in grouping.followers
    ]
    return reduce_to_ops([*contracted, *passed], shapes, ops)


def _may_be_int8(view: GraphView, grouping: Grouping) -> set[str]:
    """Tensors that are int8 where they are made, under some choice."""
    found: set[str] = set()
    quantized = {
        name for group in grouping.groups if not group.has_float_result for name in group.quantized
    }
    for name, node in view.nodes.items():
        if name in quantized or (
            name in grouping.followers and any(tensor in found for tensor in node.input)
        ):
            found.update(tensor for tensor in node.output if tensor in view.floats)
    return found


def _contracted(
    view: GraphView, group: Group, single: Mapping[str, GraphNode], may_be_int8: set[str]
) -> GraphNode:
    inside = {tensor for name in group.nodes for tensor in view.nodes[name].output}
    read = {
        tensor: None
        for name in group.quantized
        for tensor in view.inputs(name)
        if tensor not in inside and tensor in may_be_int8
    }
    main = single[group.mains[0]]
    written = list(main.outputs[:1])
    if not group.has_float_result:
        made = (tensor for name in group.quantized for tensor in single[name].outputs)
        written += [tensor for tensor in made if tensor not in written]
    terms, weights = main.terms, main.weight_elements
    if len(group.mains) > 1 and terms is not None:
        # Of one weight, used several times.
        terms *= len(group.mains)
    return GraphNode(group.key[0], main.op_type, tuple(read), tuple(written), terms, weights)
