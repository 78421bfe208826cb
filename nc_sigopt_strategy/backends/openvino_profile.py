"""What the ops of an OpenVINO model take: counters, and which op each node that ran belongs to.

The CPU device fuses nodes, replaces some and inserts others. Its graph says of each node which of
the model's it was made from; one that was made from none of them changes a type or a layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.backends.op_times import (
    Account,
    NamedNode,
    OpNames,
    OpTimes,
    Owners,
    least_of,
)
from nc_sigopt_strategy.backends.openvino_ran_as import made_from, noted

# Between types of data or layouts: a conversion belongs to no op.
_CONVERSIONS = ("Reorder", "Convert", "FakeQuantize")


def op_times(
    runs: Sequence[Mapping[str, float]], runtime: Any, model: Any, ops: OpNames
) -> OpTimes | None:
    """A profile; ``None`` where too much of it cannot be told by name.

    Args:
        runs: Name of a node that was executed to its seconds, for each run.
        runtime: ``CompiledModel.get_runtime_model()``.
        model: What was compiled.
        ops: Which of its nodes are ops, by their friendly names.
    """
    seconds = least_of(runs)
    total = sum(seconds.values())
    if total <= 0:
        return None
    owners = Owners(map(_named, model.get_ordered_ops()), ops)
    ran = {node.get_friendly_name(): node for node in runtime.get_ordered_ops()}
    account = Account(total)
    for name, took in seconds.items():
        if name in ran and noted(ran[name], "layerType") in _CONVERSIONS:
            continue
        known = [one for one in _names(name, ran) if owners.knows(one)]
        if not known:
            account.add_unknown(took)
            continue
        own = ops.among(known)
        if len(own) > 1:
            account.leave_out(own)
        else:
            account.add(next(iter(own), owners.last_of(known)), took)
    return account.closed(ops.asked, owners.ops)


def executed(counters: Iterable[Any]) -> dict[str, float]:
    """Name of a node to its seconds, of those that were executed.

    Args:
        counters: ``InferRequest.profiling_info`` of one run.
    """
    found: dict[str, float] = {}
    for node in counters:
        if node.status == node.Status.EXECUTED:
            took = node.real_time.total_seconds()
            found[node.node_name] = found.get(node.node_name, 0.0) + took
    return found


def _names(name: str, ran: Mapping[str, Any]) -> list[str]:
    return [name, *(made_from(ran[name]) if name in ran else ())]


def _named(node: Any) -> NamedNode:
    reads = tuple(value.get_node().get_friendly_name() for value in node.input_values())
    return NamedNode(node.get_friendly_name(), reads, ())
