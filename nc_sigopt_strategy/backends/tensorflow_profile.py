"""What the ops of a TensorFlow graph take: step stats, and which op a node that ran belongs to.

What runs is not what was asked for: layout and fusion passes rename a convolution after the
activation behind it, and Neural Compressor's int8 graphs have nodes of their own. So a node
belongs to the op that its name begins with, or else to the op whose result reaches it first. A
conversion to fewer bits is what the op that reads it costs: whole models of one type are profiled,
where Neural Compressor's unfinished bf16 graphs convert before and behind each op.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from nc_sigopt_strategy.backends.op_times import OpTimes, least_of
from nc_sigopt_strategy.backends.tensorflow_reads import node_of

# What Neural Compressor appends to the name of an op that it quantizes.
_INT8_SUFFIX = "_eightbit_"
# Between layouts: of no op.
_LAYOUT = re.compile(r"(MklToTf|MklInputConversion)$")
_TO_FEWER_BITS = re.compile(r"(Quantize|QuantizeV2)$")
_CAST, _CAST_TO = "Cast", "DstT"
# "[mklcpu 1MB 1MB] name = OpType(inputs)"
_LABEL = re.compile(r" = (\w+)\(")
_MICRO = 1e-6


def op_times(runs: Sequence[Any], graph_def: Any, ops: Sequence[str]) -> OpTimes | None:
    """A profile; ``None`` where the step stats name nothing.

    Args:
        runs: ``StepStats``, one of each run.
        graph_def: What ran, before the runtime changed it.
        ops: Names of ops.
    """
    kinds: dict[str, str] = {}
    found = []
    for stats in runs:
        seconds: dict[str, float] = {}
        for node in (node for device in stats.dev_stats for node in device.node_stats):
            took = max(node.op_end_rel_micros - node.op_start_rel_micros, 0) * _MICRO
            seconds[node.node_name] = seconds.get(node.node_name, 0.0) + took
            label = _LABEL.search(node.timeline_label)
            kinds[node.node_name] = "" if label is None else label.group(1)
        found.append(seconds)
    nodes = least_of(found)
    total = sum(nodes.values())
    if total <= 0:
        return None
    owner = _Owners(graph_def, ops)
    times: dict[str, float] = {}
    for name, seconds_of_node in nodes.items():
        op = None if _LAYOUT.search(kinds[name]) else owner.of(name)
        if op is not None:
            times[op] = times.get(op, 0.0) + seconds_of_node
    return OpTimes(times, total)


class _Owners:
    """Which op a node of a graph belongs to."""

    def __init__(self, graph_def: Any, ops: Sequence[str]) -> None:
        self._ops = frozenset(ops)
        self._reads: Mapping[str, list[str]] = {
            node.name: [node_of(source) for source in node.input if not source.startswith("^")]
            for node in graph_def.node
        }
        self._known: dict[str, str | None] = self._readers(graph_def)

    def of(self, name: str) -> str | None:
        """The op's name; ``None`` for what comes before every op, or is not in the graph."""
        stack, entered = [name], {name}
        while stack:
            node = stack[-1]
            if node in self._known:
                stack.pop()
                continue
            stem = node.split(_INT8_SUFFIX)[0]
            if stem in self._ops:
                self._known[node] = stem
                continue
            open_reads = [
                read
                for read in self._reads.get(node, ())
                if read not in self._known and read not in entered
            ]
            if open_reads:
                entered.add(open_reads[0])
                stack.append(open_reads[0])
                continue
            owners = (self._known.get(read) for read in self._reads.get(node, ()))
            self._known[node] = next((owner for owner in owners if owner is not None), None)
        return self._known[name]

    def _readers(self, graph_def: Any) -> dict[str, str | None]:
        """The op that reads it, for each conversion to fewer bits that an op reads."""
        converted = {node.name for node in graph_def.node if _has_fewer_bits(node)}
        return {
            read: stem
            for name, reads in self._reads.items()
            if (stem := name.split(_INT8_SUFFIX)[0]) in self._ops
            for read in reads
            if read in converted
        }


def _has_fewer_bits(node: Any) -> bool:
    """Whether a node makes int8, bf16 or float16 of what it reads."""
    if node.op == _CAST:
        return bool(node.attr[_CAST_TO].type != tf.float32.as_datatype_enum)
    return _TO_FEWER_BITS.search(node.op) is not None
