"""Who reads what in a ``GraphDef``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

_IDENTITY = ("Identity",)


def node_of(tensor: str) -> str:
    """Name of the node that writes a tensor, or that a control input waits for."""
    return tensor.lstrip("^").partition(":")[0]


def readers_of(graph_def: Any) -> Mapping[str, list[Any]]:
    """Name of a node to the nodes that read it or wait for it; one that reads it twice is twice
    there.
    """
    readers: dict[str, list[Any]] = defaultdict(list)
    for node in graph_def.node:
        for tensor in node.input:
            readers[node_of(tensor)].append(node)
    return readers


def origin_of(tensor: str, nodes: Mapping[str, Any], through: Collection[str] = _IDENTITY) -> str:
    """Name of the node that a value comes from, behind nodes that pass it on.

    Args:
        tensor: As a node's input is written.
        nodes: Name to node; what is not among them is where the way ends.
        through: Types of nodes that pass on what they read first.
    """
    name = node_of(tensor)
    while name in nodes and nodes[name].op in through:
        name = node_of(nodes[name].input[0])
    return name
