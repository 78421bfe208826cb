"""TensorFlow: what INC's sampling graph prints, and the graph made from it that gathers that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

REDUCTIONS = ("Min", "Max")
_CONTROL_FLOW = frozenset({"Enter", "Exit", "Merge", "NextIteration", "Switch"})
_PREFIX = "nc_sigopt"
# How many tensors may wait for their reductions while the model runs on.
_LAG = 2


@dataclass(frozen=True)
class Printed:
    """What one ``Print`` node of INC's sampling graph prints.

    Attributes:
        message: Its text before the number.
        reduction: ``Min`` or ``Max``.
        tensor: Name of the tensor that is reduced.
    """

    message: str
    reduction: str
    tensor: str


def printed_by(graph_def: Any) -> list[Printed]:
    """What the ``Print`` nodes that INC inserted print, in their order in the graph."""
    nodes = {node.name: node for node in graph_def.node}
    printed = []
    for node in graph_def.node:
        if node.op == "Print":
            reduction = nodes[node.input[0].split(":")[0]]
            reshape = nodes[reduction.input[0].split(":")[0]]
            message = node.attr["message"].s.decode()
            printed.append(Printed(message, reduction.op, reshape.input[0]))
    return printed


def with_port(tensor: str) -> str:
    """The full name of a tensor: ``conv`` is ``conv:0``."""
    return tensor if ":" in tensor else f"{tensor}:0"


def without_prints(graph_def: Any) -> Any:
    """A copy of a graph without its ``Print`` nodes, what reads them and what waits for them.

    INC puts an ``Identity`` behind those of a tensor that no other node reads.
    """
    gone: set[str] = set()
    found = {node.name for node in graph_def.node if node.op == "Print"}
    while found:  # nodes come in any order
        gone |= found
        reads = (
            (node, {name.partition(":")[0] for name in node.input}) for node in graph_def.node
        )
        found = {node.name for node, names in reads if names & gone} - gone
    stripped = type(graph_def)()
    stripped.CopyFrom(graph_def)
    del stripped.node[:]
    for node in graph_def.node:
        if node.name not in gone:
            kept = stripped.node.add()
            kept.CopyFrom(node)
            del kept.input[:]
            kept.input.extend(i for i in node.input if i.lstrip("^") not in gone)
    return stripped


def has_control_flow(graph_def: Any) -> bool:
    """Whether there are loops or branches, within which nothing can be fetched."""
    return any(node.op in _CONTROL_FLOW for node in graph_def.node)


def tensors_to_gather(graph_def: Any, wanted: Iterable[str], outputs: Iterable[str]) -> list[str]:
    """``wanted`` and all float32 tensors that the outputs are computed from.

    Only ``wanted`` where the graph has loops or branches, within which nothing can be fetched.

    Returns:
        Full names, each after those that it is computed from.
    """
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    names = set(map(with_port, wanted))
    # In the order in which they were imported, which is after their inputs.
    operations = graph.get_operations()
    if not any(operation.type in _CONTROL_FLOW for operation in operations):
        needed = {with_port(output).split(":")[0] for output in outputs}
        for operation in reversed(operations):
            if operation.name in needed and operation.type != "Const":
                needed.update(tensor.op.name for tensor in operation.inputs)
                names.update(t.name for t in operation.outputs[:1] if t.dtype == tf.float32)
    made = [tensor.name for operation in operations for tensor in operation.outputs]
    constant = {o.outputs[0].name for o in operations if o.type == "Const"}
    return [name for name in made if name in names and name not in constant]


def with_reductions(
    graph_def: Any, tensors: list[str], waits: Mapping[str, Iterable[str]] | None = None
) -> Mapping[tuple[str, str], str]:
    """Add to a graph, in place, nodes that reduce tensors to their smallest and largest value.

    Where nothing stands against it, each tensor waits until those before it have been reduced:
    TensorFlow would otherwise reduce when it has time to, with all tensors still in memory.

    Args:
        graph_def: A graph.
        tensors: As ``tensors_to_gather`` returns them.
        waits: Tensor to what else of it must be done before the model runs on.

    Returns:
        (reduction, tensor) to the name of the tensor that holds the number.
    """
    found = {}
    nodes = {node.name: node for node in graph_def.node}
    in_order = not has_control_flow(graph_def)
    further = waits or {}
    for position, tensor in enumerate(tensors):
        producer = nodes[tensor.split(":")[0]]
        if in_order and position >= _LAG and producer.op != "Placeholder":
            producer.input.extend(f"^{_PREFIX}/{r}/{position - _LAG}" for r in REDUCTIONS)
            rest = further.get(tensors[position - _LAG], ())
            producer.input.extend(f"^{name.partition(':')[0]}" for name in rest)
        flat, shape = f"{_PREFIX}/flat/{position}", f"{_PREFIX}/shape/{position}"
        _add(graph_def, "Const", shape, value=tf.make_tensor_proto([-1]), dtype=tf.int32)
        _add(graph_def, "Reshape", flat, [tensor, shape], T=tf.float32, Tshape=tf.int32)
        axis = f"{_PREFIX}/axis/{position}"
        _add(graph_def, "Const", axis, value=tf.make_tensor_proto([0]), dtype=tf.int32)
        for reduction in REDUCTIONS:
            name = f"{_PREFIX}/{reduction}/{position}"
            _add(graph_def, reduction, name, [flat, axis], T=tf.float32, Tidx=tf.int32)
            found[reduction, tensor] = f"{name}:0"
    return found


def _add(
    graph_def: Any, op: str, name: str, inputs: Iterable[str] = (), **attributes: Any
) -> None:
    node = graph_def.node.add(op=op, name=name, input=inputs)
    for key, value in attributes.items():
        if isinstance(value, tf.DType):
            node.attr[key].type = value.as_datatype_enum
        else:
            node.attr[key].tensor.CopyFrom(value)
