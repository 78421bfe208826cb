"""How ONNX Runtime runs the ops of a model: read from the graph that its optimizer made."""

from __future__ import annotations

import re
from collections.abc import Iterable

import onnx

INT8, FP32 = "int8", "fp32"
# Weights were rounded to int8, and the arithmetic is fp32: the worst of both.
FP32_ON_INT8 = "fp32 on int8 weights"

_INT8_TYPES = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
_DEQUANTIZE, _QUANTIZE = "DequantizeLinear", "QuantizeLinear"
_WITH_WEIGHTS = (
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "FusedConv",
    "FusedGemm",
    "FusedMatMul",
)
# Ops that compute in int8: those made from Q and DQ nodes, and those that quantize on the way.
_INTEGER_OP = re.compile(r"^(QLinear|QGemm|QAttention|QEmbed|DynamicQuantize)|Integer")
# Inputs of a QGemm whose result is int8: the last two say how.
_QGEMM_TO_INT8 = 9
# What ONNX Runtime (and INC, "_quant") make of an op's name.
_PREFIX = re.compile(r"^fused ")
_SUFFIX = re.compile(r"(_token_\d+|/MatMulAddFusion(_\w+)?|_quant)$")


def ran_as(optimized: onnx.ModelProto, ops: Iterable[str]) -> dict[str, str]:
    """Op name to how it runs: ``INT8``, ``FP32`` or ``FP32_ON_INT8``.

    Args:
        optimized: The model as a session wrote it, at most at the level ``extended``: later steps
            only change layouts, and names beyond recognition.
        ops: The names as the model that was optimized has them. Those that became part of another
            op, or that were not needed, are left out.
    """
    constants = {c.name for c in optimized.graph.initializer if c.data_type in _INT8_TYPES}
    int8 = set(constants)
    rounded: set[str] = set()
    found: dict[str, str] = {}
    for node in optimized.graph.node:  # in topological order, as ONNX demands
        reads_int8 = bool(node.input) and node.input[0] in int8
        if node.op_type == _DEQUANTIZE:
            if node.input[0] in constants:
                rounded.update(node.output)
            continue
        integer = _INTEGER_OP.search(node.op_type) is not None
        if (
            node.op_type == _QUANTIZE
            or node.op_type.startswith("QLinear")
            or (reads_int8 and not _gives_float(node))
        ):
            int8.update(node.output)
        if node.op_type == _QUANTIZE:
            continue
        on_rounded = node.op_type in _WITH_WEIGHTS and any(t in rounded for t in node.input[1:2])
        found[node.name] = INT8 if integer or reads_int8 else FP32_ON_INT8 if on_rounded else FP32
    by_stem = {stem(name): how for name, how in found.items()}
    wanted = ((op, found.get(op) or by_stem.get(op) or by_stem.get(stem(op))) for op in ops)
    return {op: how for op, how in wanted if how is not None}


def _gives_float(node: onnx.NodeProto) -> bool:
    if node.op_type == "QGemm":
        return len(node.input) < _QGEMM_TO_INT8 or not node.input[_QGEMM_TO_INT8 - 2]
    return bool(node.op_type.endswith("ToFloat"))


def stem(name: str) -> str:
    """The name of a node without what ONNX Runtime and INC add to it."""
    name = _PREFIX.sub("", name)
    while (shorter := _SUFFIX.sub("", name)) != name:
        name = shorter
    return name
