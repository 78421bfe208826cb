"""Control inputs of a TensorFlow graph that wait for constants, taken out before INC reads it.

Freezing leaves them behind: a loop's body waited for its reads of variables, which are constants
now. Where INC (2.6 to 3.7.1) makes int8 of a product in a loop it removes the product's weight,
and stumbles over the node that still waits for it: so Keras' LSTM and GRU layers came to no model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nc_sigopt_strategy.backends.tensorflow_reads import node_of

_PASSES_ON = ("Identity", "Enter")
_GATHERS = "NoOp"


def without_idle_waits(graph_def: Any, keep: Collection[str] = ()) -> Any:
    """The graph without control inputs that wait for constants alone.

    A constant is there as soon as what it waits for itself, which binds it to a loop or a branch:
    a wait for it becomes a wait for that. What passes a constant into a loop is only waited for by
    nodes that read nothing, which are bound to the loop by it.

    Args:
        graph_def: A ``GraphDef``; it is not changed.
        keep: Names of nodes that stay, such as the model's outputs.

    Returns:
        A new ``GraphDef``, the given one where nothing waits for constants alone.
    """
    graph_def = _waiting_past_constants(graph_def)
    nodes = {node.name: node for node in graph_def.node}
    idle = {name for name in _waited_for(graph_def) if _is_constant(name, nodes)}
    bound = _that_bind(graph_def, nodes)
    if not idle - bound:
        return graph_def
    found = type(graph_def)()
    found.CopyFrom(graph_def)
    for node in found.node:
        if node.name not in bound and (node.op == _GATHERS or _reads_values(node)):
            left = [i for i in node.input if not (i.startswith("^") and node_of(i) in idle)]
            del node.input[:]
            node.input.extend(left)
    needed = _waited_for(found).union(keep)
    for position in reversed(range(len(found.node))):
        node = found.node[position]
        if node.op == _GATHERS and node.name in idle and node.name not in needed:
            del found.node[position]
    return found


def _waiting_past_constants(graph_def: Any) -> Any:
    constants = {node.name: node for node in graph_def.node if node.op == "Const"}
    if not constants.keys() & _waited_for(graph_def):
        return graph_def
    found = type(graph_def)()
    found.CopyFrom(graph_def)
    for node in found.node:
        open_waits = [name for name in node.input if name.startswith("^")][::-1]
        if not any(node_of(name) in constants for name in open_waits):
            continue
        waits: dict[str, None] = {}
        while open_waits:
            name = open_waits.pop()
            constant = constants.get(node_of(name))
            if constant is None:
                waits[name] = None
            else:
                open_waits.extend(constant.input)
        values = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend([*values, *waits])
    return found


def _waited_for(graph_def: Any) -> set[str]:
    return {node_of(i) for node in graph_def.node for i in node.input if i.startswith("^")}


def _reads_values(node: Any) -> bool:
    return any(not name.startswith("^") for name in node.input)


def _that_bind(graph_def: Any, nodes: Mapping[str, Any]) -> set[str]:
    """``NoOp`` nodes that a node without other inputs waits for, at once or behind others."""
    open_names = [
        node_of(name)
        for node in graph_def.node
        if node.op != _GATHERS and not _reads_values(node)
        for name in node.input
    ]
    found: set[str] = set()
    while open_names:
        name = open_names.pop()
        if name not in found and name in nodes and nodes[name].op == _GATHERS:
            found.add(name)
            open_names.extend(node_of(read) for read in nodes[name].input)
    return found


def _is_constant(name: str, nodes: Mapping[str, Any]) -> bool:
    """Whether a node hands on constants, or gathers waits for such; none of them in a branch."""
    open_names, seen = [name], {name}
    while open_names:
        node = nodes.get(open_names.pop())
        if node is None or not (node.op in _PASSES_ON or node.op in ("Const", _GATHERS)):
            return False
        if node.op == "Const" and node.input:
            return False
        further = {node_of(read) for read in node.input} - seen
        seen |= further
        open_names.extend(further)
    return True
