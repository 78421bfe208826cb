"""Ops between two int8 ops that only move values, run on int8 instead of float32.

Neural Compressor leaves ``Dequantize``, ``Pad`` or ``Reshape``, ``QuantizeV2`` where it does not
know the op between: in front of ResNet50's first pooling, for one, on the model's largest tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from nc_sigopt_strategy.backends.finishing.editable_graph import (
    EditableGraph,
    attribute,
    typed_inputs,
)
from nc_sigopt_strategy.backends.tensorflow_reads import node_of

# `Pad` writes zeros, which are zeros in the mode SCALED too.
_MOVES = frozenset({"Identity", "Pad", "Reshape", "Slice", "Squeeze", "StridedSlice"})
_PLAIN_TYPES = {
    tf.qint8.as_datatype_enum: tf.int8.as_datatype_enum,
    tf.quint8.as_datatype_enum: tf.uint8.as_datatype_enum,
}
_CONSTANTS = ("Const", "HostConst")
# They hand on the range of what they read.
_KEEP_RANGE = frozenset({"QuantizedAvgPool", "QuantizedMaxPool"})
_GIVEN_RANGE = ("min_freezed_output", "max_freezed_output")


def keep_int8(graph: EditableGraph) -> int:
    """Let what stands between ``Dequantize`` and ``QuantizeV2`` move int8 values.

    Only where both have the same type and the same constant range in the mode SCALED, so that a
    quantized value comes back as itself, and where nobody else reads what is between. With nothing
    between, the two cancel. Values are equal.

    Args:
        graph: Changed in place. Names and types of its outputs stay.

    Returns:
        How many ``QuantizeV2`` are gone.
    """
    kept = 0
    for node in list(graph.nodes.values()):
        if node.op != "QuantizeV2" or not _is_plain(node):
            continue
        readers = graph.readers()
        if node.name in graph.outputs or f"^{node.name}" in readers:
            continue
        moves = _moves(graph, readers, node)
        read = node.input[0] if not moves else moves[0].input[0]
        source = graph.producer(read)
        if source.op != "Dequantize" or not _undoes(graph, source, node):
            continue
        values = _moved(graph, moves, source.input[0], node.attr["T"].type)
        ranges = {f"{node.name}:{port}": source.input[port] for port in (1, 2)}
        graph.redirect({node.name: values, **ranges})
        graph.remove_unread([node.name, source.name, *map(node_of, node.input[1:])])
        kept += 1
    return kept


def _is_plain(node: Any) -> bool:
    return (
        len(node.input) == 3
        and attribute(node, "mode").s == b"SCALED"
        and attribute(node, "T").type in _PLAIN_TYPES
        and ("axis" not in node.attr or node.attr["axis"].i == -1)
    )


def _moves(graph: EditableGraph, readers: Mapping[str, Sequence[str]], quantize: Any) -> list[Any]:
    """The moving ops in front of a node, the first one first."""
    moves: list[Any] = []
    reader = quantize
    while True:
        node = graph.producer(reader.input[0])
        alone = readers[node.name] == [reader.name] and node.name not in graph.outputs
        if node.op not in _MOVES or not alone or typed_inputs(node) != [0]:
            return moves[::-1]
        moves.append(node)
        reader = node


def _moved(graph: EditableGraph, moves: Sequence[Any], tensor: str, quantized: int) -> str:
    """Let moving ops move a quantized tensor; the tensor that comes out."""
    if not moves:
        return tensor
    # The kernels for quantized types move them one by one: `Pad` takes 54 times as long (2.18).
    plain = _PLAIN_TYPES[quantized]
    moves[0].input[0] = graph.add(
        "Bitcast", f"{moves[0].name}/bits", [tensor], T=quantized, type=plain
    )
    for move in moves:
        move.attr["T"].type = plain
    last = moves[-1].name
    return graph.add("Bitcast", f"{last}/int8", [last], T=plain, type=quantized)


def _undoes(graph: EditableGraph, dequantize: Any, quantize: Any) -> bool:
    same = all(
        attribute(dequantize, key) == attribute(quantize, key) for key in ("T", "narrow_range")
    )
    if not same or not _is_plain(dequantize):
        return False
    written = [_range_of(graph, tensor) for tensor in dequantize.input[1:]]
    wanted = _asked_for(graph, quantize)
    return None not in written and written == wanted and _stands(quantize, wanted)


def _stands(quantize: Any, wanted: Sequence[float | None]) -> bool:
    """Whether ``QuantizeV2`` takes a range as it is: it widens narrow ones and adds zero."""
    low, high = wanted
    if low is None or high is None:
        return False
    least = attribute(quantize, "ensure_minimum_range").f or 0.01
    return low <= 0.0 and high >= low + least * max(1.0, abs(low), abs(high))


def _range_of(graph: EditableGraph, tensor: str) -> float | None:
    """The value of a tensor that is an end of a range; ``None`` if it is computed in a run."""
    node, port = graph.producer(tensor), _port(tensor)
    while port in (1, 2) and _keeps_range(graph, node):
        tensor = node.input[port]
        node, port = graph.producer(tensor), _port(tensor)
    if port == 0:
        return _constant(node)
    if not node.op.endswith("AndRequantize"):
        return None
    names = [argument.name for argument in op_def_registry.get(node.op).input_arg]
    given = _GIVEN_RANGE[port - 1]
    return _constant(graph.producer(node.input[names.index(given)])) if given in names else None


def _keeps_range(graph: EditableGraph, node: Any) -> bool:
    """Whether a node reports the range that is its second and third input."""
    if node.op == "QuantizeV2":
        return _is_plain(node) and _stands(node, _asked_for(graph, node))
    return node.op in _KEEP_RANGE


def _asked_for(graph: EditableGraph, quantize: Any) -> list[float | None]:
    return [_constant(graph.producer(tensor)) for tensor in quantize.input[1:]]


def _port(tensor: str) -> int:
    return int(tensor.partition(":")[2] or 0)


def _constant(node: Any) -> float | None:
    if node.op not in _CONSTANTS:
        return None
    value = tf.make_ndarray(node.attr["value"].tensor)
    return float(value.reshape(-1)[0]) if np.size(value) == 1 else None
