"""Weights that a TensorFlow graph computes from constants, made constants before INC reads it.

Exports leave such expressions behind: Keras 3 reshapes and squeezes every convolution's bias,
others transpose or scale a kernel. INC's converters read weights only from ``Const`` nodes, behind
an ``Identity`` at most, and fail or leave the op in FP32 otherwise (seen in 2.6 and 3.7.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from nc_sigopt_strategy.hosts.inc.idle_waits import without_idle_waits

# INC looks through these itself: a graph that has no others stays as it is, node by node.
_PLAIN = ("Const", "Identity")
# How much larger than its constants an expression may become: a weight is no larger, but what
# `Fill` or `Tile` make of a shape can be anything.
_GROWTH = 2
# They bind what passes them to a loop or a branch.
_CONTROL_FLOW = ("Enter", "Exit", "Switch", "Merge", "NextIteration", "LoopCond")


def fold_computed_weights(graph_def: Any, keep: Sequence[str] = ()) -> Any:
    """The graph with floating-point expressions of constants replaced by their values.

    What waited for constants alone waits no more: see ``without_idle_waits``.

    Args:
        graph_def: A ``GraphDef``; it is not changed.
        keep: Names of nodes that stay as they are, such as the model's outputs.

    Returns:
        A new ``GraphDef`` whose replaced nodes keep their names; the given one if nothing changes.
    """
    graph_def = without_idle_waits(graph_def, keep)
    nodes = {node.name: node for node in graph_def.node}
    constant = _constant_nodes(graph_def)
    read = {_behind_identities(nodes, name) for name in _read_by_others(graph_def, constant)}
    roots = sorted(name for name in read if nodes[name].op not in _PLAIN and name not in keep)
    values = _values(nodes, roots) if roots else {}
    if not values:
        return graph_def
    folded = tf.compat.v1.GraphDef()
    folded.CopyFrom(graph_def)
    for node in folded.node:
        if node.name in values:
            value = values[node.name]
            node.op = "Const"
            del node.input[:]
            node.attr.clear()
            node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return folded


def fold_in_model(model: Any) -> None:
    """Fold the graph of one of INC's model objects, whose outputs stay.

    Args:
        model: Has ``graph_def``, which is replaced, and ``output_node_names``.
    """
    given = model.graph_def
    folded = fold_computed_weights(given, keep=model.output_node_names)
    if folded is not given:
        model.graph_def = folded


def _constant_nodes(graph_def: Any) -> set[str]:
    """Names of nodes that compute the same in every run; the graph may hold them in any order."""
    candidates = {node.name: node for node in graph_def.node if _is_pure(node)}
    waiting = {name: len(node.input) for name, node in candidates.items()}
    readers: dict[str, list[str]] = {}
    for name, node in candidates.items():
        for read in node.input:
            readers.setdefault(read.partition(":")[0], []).append(name)
    found: set[str] = set()
    ready = [name for name, node in candidates.items() if node.op == "Const"]
    while ready:
        name = ready.pop()
        found.add(name)
        for reader in readers.get(name, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    return found


def _is_pure(node: Any) -> bool:
    # A control input, `^name`, may bind a constant to a frame of a loop or a branch.
    if any(read.startswith("^") for read in node.input):
        return False
    if node.op == "Const":
        return True
    # `RefEnter` and the like too.
    if node.op.removeprefix("Ref") in _CONTROL_FLOW or _calls_a_function(node):
        return False
    known = op_def_registry.get(node.op)
    return known is not None and not known.is_stateful and bool(node.input)


def _calls_a_function(node: Any) -> bool:
    return any(attr.HasField("func") or attr.list.func for attr in node.attr.values())


def _read_by_others(graph_def: Any, constant: set[str]) -> set[str]:
    return {
        read
        for node in graph_def.node
        if node.name not in constant
        for read in node.input
        if read in constant  # by its first output: `name:1` and `^name` are not there
    }


def _behind_identities(nodes: dict[str, Any], name: str) -> str:
    while nodes[name].op == "Identity":
        read = str(nodes[name].input[0])
        if ":" in read:  # a further output of an op that has several
            break
        name = read
    return name


def _values(nodes: dict[str, Any], roots: list[str]) -> dict[str, Any]:
    part = tf.compat.v1.GraphDef()
    part.node.extend(nodes[name] for name in _made_from(nodes, roots))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(part, name="")
        tensors = {name: graph.get_tensor_by_name(f"{name}:0") for name in roots}
        floats = {name: tensor for name, tensor in tensors.items() if tensor.dtype.is_floating}
        with tf.compat.v1.Session(graph=graph) as session:
            values: dict[str, Any] = session.run(floats)

    def size(name: str) -> int:
        return sum(nodes[other].ByteSize() for other in _made_from(nodes, [name]))

    return {name: value for name, value in values.items() if value.nbytes <= _GROWTH * size(name)}


def _made_from(nodes: dict[str, Any], names: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting.extend(read.partition(":")[0] for read in nodes[name].input)
    return list(found)
