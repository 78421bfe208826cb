"""A graph that overwrites nothing, so that its ops can be cast and quantized one by one."""

from __future__ import annotations

import operator
from typing import Any

import torch


def write_nothing_in_place(graph: torch.fx.GraphModule) -> None:
    """Make ops that overwrite what they read, such as ``relu_``, make a tensor anew; in place.

    Whoever reads an overwritten tensor later is given the new one. That is right where nobody
    reads its memory in another way; see ``writes_through_views``.
    """
    for node in graph.graph.nodes:
        anew = _out_of_place(node)
        if anew is None:
            continue
        node.target = anew
        node.args[0].replace_all_uses_with(node, lambda user, node=node: node < user)
    graph.recompile()


def writes_through_views(graph: torch.fx.GraphModule) -> bool:
    """Whether something is overwritten that is read later as part of, or under, another tensor.

    ``y[:, 0] = 0`` writes into a view of ``y``. Such a graph has to be made functional by torch,
    which writes more of it anew than its views.
    """
    families: dict[Any, set[Any]] = {}
    for node in graph.graph.nodes:
        source = _viewed(node)
        family = families.setdefault(source, {source}) if source is not None else {node}
        family.add(node)
        families[node] = family
        if _out_of_place(node) is None:
            continue
        # What is a view of the result is given the new tensor.
        others = families.get(node.args[0], set()) - {node, node.args[0]}
        if any(node < user for other in others for user in other.users):
            return True
    return False


def _out_of_place(node: Any) -> Any:
    """The op that computes anew what a node writes in place; ``None`` for other nodes."""
    target = node.target
    if node.op != "call_function" or not isinstance(target, torch._ops.OpOverload):
        return None
    packet, overload = target._schema.name.removeprefix("aten::"), target._overloadname
    if not packet.endswith("_") or packet.endswith("__"):
        return None
    return getattr(getattr(torch.ops.aten, packet[:-1], None), overload, None)


def _viewed(node: Any) -> Any:
    """The node whose memory a node may share; ``None`` for one with memory of its own."""
    if node.op != "call_function" or not node.args:
        return None
    source = node.args[0]
    if not isinstance(source, torch.fx.Node):
        return None
    if node.target is operator.getitem:
        # A part of what gave several tensors, such as split.
        return source
    if not isinstance(node.target, torch._ops.OpOverload):
        return None
    returned = node.target._schema.returns
    shares = any(one.alias_info is not None for one in returned)
    return source if shares or node.target is torch.ops.aten.dropout.default else None
