"""What the ops of an ONNX model take: a profile, and which op each node that ran belongs to.

What runs is the graph that the session made of the model: convolutions with their activations in
one, int8 ops in place of float ones between conversions, layouts changed on the way. Such a node
has the name of an op, of a node behind it or of the value that it makes; the graph is written
beside the profile, so that those with names of their own are known by what they make or read. A
conversion to fewer bits is what the op that reads it costs, one back is the op's before it: whole
models of one type are profiled.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from nc_sigopt_strategy.backends.backend import feed_by_position
from nc_sigopt_strategy.backends.onnx_protos import attribute_of
from nc_sigopt_strategy.backends.op_times import (
    Account,
    NamedNode,
    OpNames,
    OpTimes,
    Owners,
    least_of,
    repetitions,
)

# Between layouts of the optimizer's: of no op.
_REORDERS = ("ReorderInput", "ReorderOutput")
_QUANTIZE, _CAST = "QuantizeLinear", "Cast"
_TRANSPOSE = "Transpose"
# What they take is what the nodes of their bodies take, which are told one by one.
_WITH_BODIES = ("If", "Loop", "Scan")
_KERNEL = "_kernel_time"
# Behind the name of an op, or of the value that it makes, where another layout was chosen.
_LAYOUT = re.compile(r"_(nchwc|nhwc)$")
_ONLY_ERRORS = 3
_MICRO = 1e-6

Event = Mapping[str, Any]


def profiled(
    model: bytes | str, options: onnxruntime.SessionOptions, inputs: Any
) -> tuple[list[Event], onnx.ModelProto]:
    """Run some times with the profiler in a session of its own.

    Args:
        model: A serialized model, or the path of a file.
        options: Of the session; changed.
        inputs: As for ``ModelSession.run``.

    Returns:
        The profile's events, and the graph that ran.
    """
    with tempfile.TemporaryDirectory(prefix="nc_sigopt_") as folder:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        # It warns that what it writes is of this machine only.
        options.log_severity_level = _ONLY_ERRORS
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        written = ""
        try:
            feed = feed_by_position([node.name for node in session.get_inputs()], inputs)
            session.run(None, feed)
            for _ in repetitions():
                session.run(None, feed)
        finally:
            # Else it writes when it is collected, and the folder is gone by then.
            written = session.end_profiling()
        events = json.loads(Path(written).read_bytes())
        return events, onnx.load(options.optimized_model_filepath, load_external_data=False)


def op_times(events: Sequence[Event], optimized: Any, given: Any, ops: OpNames) -> OpTimes | None:
    """A profile; ``None`` where too much of it cannot be told by name.

    Args:
        events: Of a session's profile, in the order of their times.
        optimized: The ``ModelProto`` that ran.
        given: The one that the session was made of.
        ops: Which of its nodes are ops.
    """
    # The first run pays for memory and for packing weights.
    seconds, kinds = least_of(list(_runs(events))[1:]), _kinds(events)
    total = sum(seconds.values())
    if total <= 0:
        return None
    owners = Owners(map(_named, given.graph.node), ops)
    placed = _placed(optimized, owners, ops)
    account = Account(total)
    for name, took in seconds.items():
        is_layout = kinds[name] == _TRANSPOSE and not owners.knows(name)
        if kinds[name] in _REORDERS or is_layout:
            continue
        if name in placed:
            account.add(placed[name], took)
        else:
            account.add_unknown(took)
    return account.closed(ops.asked, owners.ops)


def _placed(optimized: Any, owners: Owners, ops: OpNames) -> dict[str, str | None]:
    """The op of each node that ran; what cannot be placed is left out."""
    placed: dict[str, str | None] = {}
    made: dict[str, str | None] = {}
    for node in optimized.graph.node:  # in topological order, as ONNX demands
        bare = _LAYOUT.sub("", node.name)
        op = ops.op_of(bare)
        if op is None:
            names = (node.name, bare, ops.stem(bare), *node.output)
            known = next((name for name in names if name and owners.knows(name)), None)
            read = next((made[name] for name in node.input if made.get(name) is not None), None)
            if known is None and read is None:
                continue
            op = read if known is None else owners.of(known)
        placed[node.name] = op
        made |= dict.fromkeys(node.output, op)
    return placed | _read_first(optimized, placed)


def _read_first(optimized: Any, placed: Mapping[str, str | None]) -> dict[str, str]:
    """The op that reads it, for each conversion to fewer bits that one reads."""
    made_by = {
        value: node.name
        for node in optimized.graph.node
        if _has_fewer_bits(node)
        for value in node.output
    }
    found: dict[str, str] = {}
    for node in optimized.graph.node:
        op = None if _has_fewer_bits(node) else placed.get(node.name)
        if op is not None:
            for value in node.input:
                if value in made_by:
                    found.setdefault(made_by[value], op)
    return found


def _has_fewer_bits(node: Any) -> bool:
    """Whether a node makes integers, bf16 or float16 of what it reads."""
    if node.op_type == _CAST:
        to = attribute_of(node, "to", onnx.TensorProto.FLOAT)
        return bool(to != onnx.TensorProto.FLOAT)
    return bool(node.op_type == _QUANTIZE)


def _named(node: Any) -> NamedNode:
    return NamedNode(node.name, tuple(filter(None, node.input)), tuple(filter(None, node.output)))


def _runs(events: Sequence[Event]) -> Iterator[dict[str, float]]:
    """Node to seconds, for each run of the model."""
    nodes = [event for event in events if _is_kernel(event)]
    for run in (event for event in events if event.get("name") == "model_run"):
        begun, ended = run["ts"], run["ts"] + run["dur"]
        found: dict[str, float] = {}
        for event in nodes:
            if begun <= event["ts"] <= ended:
                name = event["name"].removesuffix(_KERNEL)
                found[name] = found.get(name, 0.0) + event["dur"] * _MICRO
        yield found


def _kinds(events: Sequence[Event]) -> dict[str, str]:
    return {
        event["name"].removesuffix(_KERNEL): str(event["args"].get("op_name"))
        for event in events
        if _is_kernel(event)
    }


def _is_kernel(event: Event) -> bool:
    return (
        event.get("cat") == "Node"
        and str(event.get("name")).endswith(_KERNEL)
        and event["args"].get("op_name") not in _WITH_BODIES
    )
