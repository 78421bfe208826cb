"""Keeps the ops of an ONNX model that were left in fp32 in fp32, in whatever session it runs.

Since 1.21 ONNX Runtime's optimizer ``WeightBiasQuantization`` gives int8 weights, with one scale
for all channels, to a Conv, ConvTranspose or Gemm with fp32 weights that reads a
``DequantizeLinear`` and feeds a ``QuantizeLinear``: just where a search left an op in fp32 because
int8 costs too much. A session entry switches it off (``THE_SWITCH``), but the sessions of a user's
evaluation and of a deployment are not ours to open. It passes over

- an input that is dequantized with a scale per channel. A convolution's gets one, the same number
  for every channel: the same arithmetic, and as fast, because a channel's values lie together.
- a bias of rank 2. A Gemm's, or that of a MatMul and Add that become one, becomes (1, N). In a
  matrix a scale per channel would be a scale per neighbour, ten times slower.

Checked in 1.22.1 and 1.32 (optimizer/qdq_transformer/weight_bias_quantization.cc).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from nc_sigopt_strategy.backends.onnx_graph import inferred_shapes
from nc_sigopt_strategy.backends.onnx_protos import attribute_of
from nc_sigopt_strategy.backends.op_graph import Shape

logger = logging.getLogger("nc_sigopt_strategy")

# In the names of what is added, so that a model shows whether it was rewritten.
MARK = "_kept_fp32"
# What does the same for a model that was not rewritten.
THE_SWITCH = {"optimization.disable_specified_optimizers": "WeightBiasQuantization"}

_DEQUANTIZE, _QUANTIZE = "DequantizeLinear", "QuantizeLinear"
# ONNX Runtime moves a DequantizeLinear down past these; values only move.
_MOVES = ("MaxPool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Flatten")
# ONNX has scales per channel since opset 13; ONNX Runtime's own op has them in any.
_PER_CHANNEL_OPSET = 13
_OWN_DOMAIN = "com.microsoft"


def keep_fp32(model: onnx.ModelProto) -> int:
    """Rewrite a model in place; its outputs stay the same where ops run as they stand.

    Returns:
        How many ops would else get int8 weights in a session, if what feeds them is quantized too.
    """
    graph = _Graph(model)
    kept = 0
    for node in list(model.graph.node):
        if node.op_type in ("Conv", "ConvTranspose"):
            kept += graph.dequantize_per_channel(node)
        elif node.op_type == "Gemm":
            kept += graph.raise_bias_of_gemm(node)
        elif node.op_type == "MatMul":
            kept += graph.raise_bias_after(node)
    graph.write()
    return kept


def is_rewritten(model: onnx.ModelProto) -> bool:
    """Whether ``keep_fp32`` changed anything in a model."""
    return any(MARK in constant.name for constant in model.graph.initializer)


class _Graph:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._graph = model.graph
        self._constants = {constant.name: constant for constant in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].HasField("t"):
                self._constants[node.output[0]] = node.attribute[0].t
        self._producer = {tensor: node for node in model.graph.node for tensor in node.output}
        self._names = set(self._constants) | set(self._producer)
        self._names.update(value.name for value in model.graph.input)
        self._added_before: dict[str, list[onnx.NodeProto]] = {}
        self._per_channel: dict[tuple[str, int], str] = {}
        self._raised: dict[str, str] = {}
        # Tensors that were read before; they go with what makes them if nobody reads them now.
        self._replaced: set[str] = set()
        self._shapes: dict[str, Shape] | None = None

    def dequantize_per_channel(self, node: onnx.NodeProto) -> bool:
        weights = self._float_constant(node.input[1])
        source = self._dequantized(node.input[0])
        if weights is None or source is None:
            return False
        groups = attribute_of(node, "group", 1)
        channels = weights.dims[1] * groups if node.op_type == "Conv" else weights.dims[0]
        tensor = node.input[0]
        known = self._per_channel.get((tensor, channels))
        if known is None:
            known = self._add_dequantize(node, source, channels)
            self._per_channel[tensor, channels] = known
        if tensor == source.output[0]:
            self._replaced.update((tensor, *source.input[1:]))
        node.input[0] = known
        return True

    def raise_bias_of_gemm(self, node: onnx.NodeProto) -> bool:
        if self._float_constant(node.input[1]) is None or self._dequantized(node.input[0]) is None:
            return False
        if len(node.input) < 3 or not node.input[2]:
            zero = self._constant("no_bias", np.zeros((1, 1), np.float32))
            del node.input[2:]
            node.input.append(zero)
            return True
        return self._raise_bias(node, 2)

    def raise_bias_after(self, node: onnx.NodeProto) -> bool:
        if self._float_constant(node.input[1]) is None or self._dequantized(node.input[0]) is None:
            return False
        readers = [n for n in self._graph.node if node.output[0] in n.input]
        if len(readers) != 1 or readers[0].op_type != "Add":
            return False
        shape = self._shape(node.output[0])
        # Of more dimensions it becomes a Gemm only if all are known. Elsewhere a bias of rank 1
        # has other uses: ONNX Runtime fuses it with a Gelu.
        if shape is None or len(shape) < 2 or (len(shape) > 2 and None in shape):
            return False
        add = readers[0]
        return self._raise_bias(add, 1 if add.input[0] == node.output[0] else 0)

    def write(self) -> None:
        """Put in the new nodes, and take out what nobody reads any more."""
        nodes: list[onnx.NodeProto] = []
        for node in self._graph.node:
            nodes += [*self._added_before.get(node.output[0], ()), node]
        if self._added_before:
            read = self._read(nodes)
            nodes = [n for n in nodes if n.output[0] not in self._replaced or n.output[0] in read]
            copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
            del self._graph.node[:]
            self._graph.node.extend(copies)
        idle = self._replaced - self._read(self._graph.node)
        for constant in [c for c in self._graph.initializer if c.name in idle]:
            self._graph.initializer.remove(constant)

    def _read(self, nodes: Iterable[onnx.NodeProto]) -> set[str]:
        ends = (*self._graph.output, *self._graph.input)
        return {*_read_anywhere(nodes), *(value.name for value in ends)}

    def _float_constant(self, tensor: str) -> onnx.TensorProto | None:
        found = self._constants.get(tensor)
        return found if found is not None and found.data_type == onnx.TensorProto.FLOAT else None

    def _dequantized(self, tensor: str) -> onnx.NodeProto | None:
        """The node that dequantizes a tensor with one scale, perhaps some moves above it."""
        node = self._producer.get(tensor)
        moved = False
        while node is not None and node.op_type in _MOVES:
            node, moved = self._producer.get(node.input[0]), True
        if node is None or node.op_type != _DEQUANTIZE:
            return None
        scale = self._float_constant(node.input[1])
        if scale is None or list(scale.dims) not in ([], [1]):
            return None
        zero = self._zero_point(node)
        # Without a zero point nothing says what type to quantize to again.
        return None if zero is None and (moved or len(node.input) > 2) else node

    def _zero_point(self, node: onnx.NodeProto) -> onnx.TensorProto | None:
        return self._constants.get(node.input[2]) if len(node.input) > 2 else None

    def _add_dequantize(self, node: onnx.NodeProto, source: onnx.NodeProto, channels: int) -> str:
        tensor = node.input[0]
        added = self._added_before.setdefault(node.output[0], [])
        quantized = source.input[0]
        if tensor != source.output[0]:
            # What ONNX Runtime would do too; values that only moved come out as they were.
            quantized = self._name(f"{tensor}_quantized")
            added.append(
                helper.make_node(
                    _QUANTIZE,
                    [tensor, *source.input[1:]],
                    [quantized],
                    name=self._name(f"{tensor}_quantize"),
                )
            )
        per_channel = [self._repeated(name, channels) for name in source.input[1:]]
        out = self._name(tensor)
        new = helper.make_node(
            _DEQUANTIZE, [quantized, *per_channel], [out], name=self._name(f"{tensor}_dequantize"),
            domain=source.domain or self._domain(), axis=1,
        )  # fmt: skip
        added.append(new)
        return out

    def _repeated(self, name: str, channels: int) -> str:
        value = numpy_helper.to_array(self._constants[name])
        return self._constant(name, np.full(channels, value.reshape(-1)[0], value.dtype))

    def _raise_bias(self, node: onnx.NodeProto, position: int) -> bool:
        name = node.input[position]
        bias = self._float_constant(name)
        if bias is None or len(bias.dims) != 1:
            return False
        if name not in self._raised:
            self._raised[name] = self._constant(name, numpy_helper.to_array(bias)[np.newaxis])
        node.input[position] = self._raised[name]
        self._replaced.add(name)
        return True

    def _domain(self) -> str:
        opsets = self._model.opset_import
        if any(o.domain in ("", "ai.onnx") and o.version >= _PER_CHANNEL_OPSET for o in opsets):
            return ""
        if not any(o.domain == _OWN_DOMAIN for o in opsets):
            opsets.append(helper.make_opsetid(_OWN_DOMAIN, 1))
        return _OWN_DOMAIN

    def _shape(self, tensor: str) -> Shape:
        if self._shapes is None:
            try:
                self._shapes = inferred_shapes(self._model)
            except (
                Exception
            ) as error:  # ONNX raises what it likes; ``ran_as`` tells what comes of it
                logger.debug("No shapes: %s", error)
                self._shapes = {}
        return self._shapes.get(tensor)

    def _constant(self, name: str, value: Any) -> str:
        new = self._name(name)
        self._graph.initializer.append(numpy_helper.from_array(value, new))
        return new

    def _name(self, stem: str) -> str:
        name, number = stem + MARK, 1
        while name in self._names:
            number += 1
            name = f"{stem}{MARK}{number}"
        self._names.add(name)
        return name


def _read_anywhere(nodes: Iterable[onnx.NodeProto]) -> Iterable[str]:
    """Tensors that nodes read, those in the bodies of ``If`` and ``Loop`` included."""
    for node in nodes:
        yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _read_anywhere(attribute.g.node)
                yield from (value.name for value in attribute.g.output)
