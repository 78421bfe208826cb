"""The op graph of groups: sizes are sums, and edges join groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.backends.op_graph import GraphNode, Shape, elements, product, reduce_to_ops
from nc_sigopt_strategy.hosts.openvino.groups import Group
from nc_sigopt_strategy.space.ops import OpKey


def group_graph(
    nodes: Sequence[GraphNode],
    shapes: Mapping[str, Shape],
    groups: Sequence[Group],
    ops: Sequence[OpKey],
) -> dict[str, Any]:
    """What ``op_graph.reduce_to_ops`` gives, with every group as one op.

    Args:
        nodes: Of the model before it was quantized.
        shapes: Tensor to shape.
        groups: Of the model.
        ops: Keys of groups, in graph order.
    """
    main = {name: group.key[0] for group in groups for name in group.members}
    by_name = {node.name: node for node in nodes}
    joined = [node for node in nodes if node.name not in main]
    joined += [_joined([by_name[name] for name in g.members if name in by_name], g, shapes)
               for g in groups]  # fmt: skip
    found = reduce_to_ops(joined, shapes, ops)
    found["edges"] = [edge for edge in found["edges"] if edge[0] != edge[1]]
    return found


def _joined(nodes: Sequence[GraphNode], group: Group, shapes: Mapping[str, Shape]) -> GraphNode:
    """One node for all of a group; its main output is that of the main op."""
    main = next(node for node in nodes if node.name == group.key[0])
    written = [tensor for node in nodes for tensor in node.outputs]
    read = dict.fromkeys(tensor for node in nodes for tensor in node.inputs)
    return dataclasses.replace(
        main,
        inputs=tuple(tensor for tensor in read if tensor not in written),
        outputs=(*main.outputs, *(t for t in written if t not in main.outputs)),
        terms=_terms(main, nodes, shapes),
        weight_elements=_sum([node.weight_elements for node in nodes]),
    )


def _terms(
    main: GraphNode, nodes: Sequence[GraphNode], shapes: Mapping[str, Shape]
) -> float | None:
    """Products of all, for each element of the main output."""
    multiplying = [node for node in nodes if node.terms != 0]
    work = _sum(
        [product([elements(shapes.get(node.outputs[0])), node.terms]) for node in multiplying]
    )
    size = elements(shapes.get(main.outputs[0]))
    if work is None or not size:
        return None if multiplying else 0.0
    return work / size


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(sum(known)) if len(known) == len(values) else None
