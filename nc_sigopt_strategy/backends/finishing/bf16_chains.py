"""What follows a bf16 op made bf16 too, where TensorFlow fuses the two or bf16 costs less.

Neural Compressor converts the ops that it was told to convert and nothing else: behind each bf16
convolution stands a ``Cast``, then bias and activation in float32, then a ``Cast`` back. That
keeps TensorFlow from fusing the three and costs more than bf16 brings.

Results are those of before, but for bf16's rounding. An op that moves or selects values gives the
very same. A bias, a sum and an activation are computed in float32 inside of the fused kernel, and
the result is rounded once; that the bias itself is rounded is all that is new.

TensorFlow's auto mixed precision does the like for graphs of float32. It cannot be told single
ops, and leaves a graph that has Casts already as it is (seen in 2.18).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.kernels import get_registered_kernels_for_op

from nc_sigopt_strategy.backends.finishing.dequantized import gives_bf16
from nc_sigopt_strategy.backends.finishing.editable_graph import (
    BFLOAT16,
    FLOAT32,
    EditableGraph,
    attribute,
    is_cast,
    typed_inputs,
)
from nc_sigopt_strategy.backends.op_graph import Shape
from nc_sigopt_strategy.backends.tensorflow_graph import static_shapes
from nc_sigopt_strategy.backends.tensorflow_reads import node_of

# Cheaper in bf16, which is half the bytes; elementwise ops are not: TensorFlow's kernels for them
# compute in float32 and round each result (measured, see the design page).
_MOVES = frozenset(
    {
        "BatchToSpaceND", "ConcatV2", "DepthToSpace", "ExpandDims", "Identity", "MaxPool", "Pad",
        "Reshape", "Slice", "SpaceToBatchND", "SpaceToDepth", "Squeeze", "StridedSlice",
        "Transpose",
    }
)  # fmt: skip
_FUSED_CONTRACTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative", "MatMul"})
_FUSED_ACTIVATIONS = frozenset({"Elu", "LeakyRelu", "Relu", "Relu6"})
_ADDS = frozenset({"Add", "AddV2"})
# What none of them follows is the model's answer.
_COMPUTES = frozenset({*_FUSED_CONTRACTIONS, "BatchMatMul", "BatchMatMulV2", "Conv3D"})


def join_bf16_chains(graph: EditableGraph) -> int:
    """Give bf16 to what is fused with a bf16 op, and to what moves bf16 values.

    TensorFlow fuses a convolution or multiplication of matrices, its bias, for a convolution a
    tensor that is added, and an activation, as long as nobody else reads what is between. Other
    sums and activations stay as they are. So does what no further op works on: it is the model's
    answer, and to round it would make ties.

    Casts are put around each op that joins; ``cast_pairs`` removes those that meet.

    Args:
        graph: Changed in place. Names and types of its outputs stay.

    Returns:
        How many ops joined.
    """
    joined = _Joining(graph).all()
    _write_float32(graph, [name for name in joined if name not in graph.outputs])
    constants: dict[str, str] = {}
    for name in joined:
        _convert(graph, name, constants)
    return len(joined)


class _Joining:
    """Which ops join; what they read decides, so it spreads from producers to readers."""

    def __init__(self, graph: EditableGraph) -> None:
        self._graph = graph
        self._readers = graph.readers()
        self._worked_on = _worked_on(graph)
        # In the order of joining; the value is the contraction that an op is fused with.
        self._joined: dict[str, Any] = {}

    def all(self) -> list[str]:
        """Their names."""
        waiting = [
            reader
            for node in self._graph.nodes.values()
            if is_cast(node, BFLOAT16, FLOAT32)
            for reader in self._readers.get(node.name, ())
        ]
        while waiting:
            name = waiting.pop()
            node = self._graph.nodes[name]
            if name in self._joined or name not in self._worked_on or not _could_be_bf16(node):
                continue
            fused_with = self._fused_with(node)
            if fused_with is not None or (node.op in _MOVES and self._all_bf16(node)):
                self._joined[name] = fused_with
                waiting.extend(self._readers.get(name, ()))
        return list(self._joined)

    def _fused_with(self, node: Any) -> Any:
        """The contraction whose kernel an op becomes part of; ``None`` if there is none."""
        if node.op in _FUSED_ACTIVATIONS:
            return self._tail(node.input[0], node)
        if node.op == "BiasAdd":
            added = self._graph.producer(node.input[1])
            return None if _is_zero(added) else self._contraction(node.input[0], node)
        if node.op not in _ADDS:
            return None
        for tensor, other in (node.input[:2], node.input[1::-1]):
            if _is_bias(self._graph.producer(other)):
                return self._contraction(tensor, node)
            found = self._tail(tensor, node)
            takes_sum = found is not None and found.op == "Conv2D" and self._bias_only(tensor)
            if takes_sum and self._is_bf16(other) and self._same_shape(tensor, other):
                return found
        return None

    def _contraction(self, tensor: str, reader: Any) -> Any:
        cast = self._graph.producer(tensor)
        if not is_cast(cast, BFLOAT16, FLOAT32) or not self._alone(cast, reader):
            return None
        found = self._graph.producer(cast.input[0])
        fits = found.op in _FUSED_CONTRACTIONS and self._alone(found, cast)
        return found if fits and attribute(found, "T").type == BFLOAT16 else None

    def _tail(self, tensor: str, reader: Any) -> Any:
        node = self._graph.producer(tensor)
        return self._joined.get(node.name) if self._alone(node, reader) else None

    def _bias_only(self, tensor: str) -> bool:
        node = self._graph.producer(tensor)
        return node.op == "BiasAdd" or any(
            _is_bias(self._graph.producer(read)) for read in node.input[:2]
        )

    def _alone(self, node: Any, reader: Any) -> bool:
        read_once = self._readers.get(node.name) == [reader.name]
        return read_once and node.name not in self._graph.outputs

    def _same_shape(self, *tensors: str) -> bool:
        """Whether nothing is broadcast, as far as TensorFlow can know; batches are alike."""
        one, other = (
            self._shapes.get(tensor if ":" in tensor else f"{tensor}:0") for tensor in tensors
        )
        return one is not None and one == other and None not in one[1:]

    @functools.cached_property
    def _shapes(self) -> dict[str, Shape]:
        return static_shapes(self._graph.graph_def())

    def _all_bf16(self, node: Any) -> bool:
        producers = [self._graph.producer(node.input[at]) for at in typed_inputs(node)]
        given = [producer for producer in producers if not _is_exact(producer)]
        some = any(p.name in self._joined or is_cast(p, BFLOAT16, FLOAT32) for p in given)
        return some and all(map(self._producer_is_bf16, given))

    def _is_bf16(self, tensor: str) -> bool:
        return self._producer_is_bf16(self._graph.producer(tensor))

    def _producer_is_bf16(self, producer: Any) -> bool:
        is_already = producer.name in self._joined or is_cast(producer, BFLOAT16, FLOAT32)
        return is_already or gives_bf16(producer)


def _could_be_bf16(node: Any) -> bool:
    return attribute(node, "T").type == FLOAT32 and _has_bf16_kernel(node.op)


@functools.cache
def _has_bf16_kernel(op: str) -> bool:
    def takes(kernel: Any) -> bool:
        typed = [rule for rule in kernel.constraint if rule.name == "T"]
        return all(BFLOAT16 in rule.allowed_values.list.type for rule in typed)

    kernels = get_registered_kernels_for_op(op).kernel
    return any(takes(kernel) for kernel in kernels if kernel.device_type == "CPU")


def _is_bias(node: Any) -> bool:
    """Whether a node is a constant with one number per channel, channels last."""
    if node.op != "Const" or node.attr["dtype"].type != FLOAT32:
        return False
    sizes = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
    per_channel = bool(sizes) and sizes[-1] > 1 and set(sizes[:-1]) <= {1}
    return per_channel and not _is_zero(node)


def _is_zero(node: Any) -> bool:
    """Whether a node is a constant zero, which TensorFlow does not add, and so does not fuse."""
    if node.op != "Const":
        return False
    return not np.any(tf.make_ndarray(node.attr["value"].tensor))


def _is_exact(node: Any) -> bool:
    """Whether a node is a constant that bf16 holds as it is."""
    if node.op != "Const":
        return False
    value = tf.make_ndarray(node.attr["value"].tensor)
    return bool(
        np.array_equal(value.astype(tf.bfloat16.as_numpy_dtype).astype(value.dtype), value)
    )


def _worked_on(graph: EditableGraph) -> set[str]:
    """Names of nodes whose result reaches an op that computes, quantizes or is bf16 already."""
    waiting = [
        node.name
        for node in graph.nodes.values()
        if node.op in _COMPUTES
        or node.op.startswith("Quantize")
        or attribute(node, "T").type == BFLOAT16
    ]
    found: set[str] = set()
    while waiting:
        for tensor in graph.nodes[waiting.pop()].input:
            name = node_of(tensor)
            if name not in found and not tensor.startswith("^"):
                found.add(name)
                waiting.append(name)
    return found


def _write_float32(graph: EditableGraph, names: Sequence[str]) -> None:
    """Put the Cast behind nodes that are to be bf16, for all that read them now."""
    casts = {name: graph.free_name(f"{name}/fp32") for name in names}
    # Readers first: the Cast is to read the node itself.
    graph.redirect(casts)
    for name, cast in casts.items():
        graph.add("Cast", cast, [name], SrcT=BFLOAT16, DstT=FLOAT32)


def _convert(graph: EditableGraph, name: str, constants: dict[str, str]) -> None:
    """Make a node bf16, with Casts in front of it, and behind it if it is an output."""
    node = graph.nodes[name]
    if name in graph.outputs:
        # The name stays with the type: what computes gets another one.
        node = graph.add_copy(name, f"{name}/bf16")
        given = graph.nodes[name]
        given.Clear()
        given.name, given.op = name, "Cast"
        given.input.append(node.name)
        given.attr["SrcT"].type, given.attr["DstT"].type = BFLOAT16, FLOAT32
    node.attr["T"].type = BFLOAT16
    for position in typed_inputs(node):
        node.input[position] = _as_bf16(graph, node.input[position], node.name, constants)


def _as_bf16(graph: EditableGraph, tensor: str, reader: str, constants: dict[str, str]) -> str:
    producer = graph.producer(tensor)
    if producer.op != "Const":
        wished = f"{reader}/{node_of(tensor).rpartition('/')[2]}/bf16"
        return graph.add("Cast", wished, [tensor], SrcT=FLOAT32, DstT=BFLOAT16)
    if producer.name not in constants:
        const = graph.add_copy(producer.name, f"{producer.name}/bf16")
        value = tf.make_ndarray(producer.attr["value"].tensor)
        const.attr["dtype"].type = BFLOAT16
        const.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.bfloat16))
        constants[producer.name] = const.name
    return constants[producer.name]
