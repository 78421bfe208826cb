"""Casts that undo each other, and Casts that do the same twice."""

from __future__ import annotations

from nc_sigopt_strategy.backends.finishing.editable_graph import (
    BFLOAT16,
    FLOAT32,
    EditableGraph,
    is_cast,
)


def remove_cast_pairs(graph: EditableGraph) -> int:
    """Read a bf16 tensor itself instead of its way to float32 and back; values are equal.

    Args:
        graph: Changed in place. Names and types of its outputs stay.

    Returns:
        How many Casts are gone.
    """
    before = len(graph.nodes)
    moved: dict[str, str] = {}
    met: list[str] = []
    for node in graph.nodes.values():
        if is_cast(node, FLOAT32, BFLOAT16):
            up = graph.producer(node.input[0])
            if is_cast(up, BFLOAT16, FLOAT32):
                moved[node.name] = up.input[0]
                met.append(up.name)
    # What is read instead may be such a Cast itself.
    graph.redirect({name: _end(moved, name) for name in moved})
    graph.remove_unread([*moved, *met])
    return before - len(graph.nodes)


def share_casts(graph: EditableGraph) -> int:
    """Convert a tensor once for all that read it in another type; values are equal.

    Args:
        graph: Changed in place. Names and types of its outputs stay.

    Returns:
        How many Casts are gone.
    """
    before = len(graph.nodes)
    first: dict[str, str] = {}
    moved = {}
    for node in graph.nodes.values():
        # A tensor has one type, and so one of the two.
        if is_cast(node, FLOAT32, BFLOAT16) or is_cast(node, BFLOAT16, FLOAT32):
            same = first.setdefault(node.input[0], node.name)
            if same != node.name:
                moved[node.name] = same
    graph.redirect(moved)
    graph.remove_unread(moved)
    return before - len(graph.nodes)


def _end(moved: dict[str, str], name: str) -> str:
    while name in moved:
        name = moved[name]
    return name
