"""What is said of ONNX models that cannot be tuned, on protos alone."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

onnxruntime = pytest.importorskip("onnxruntime")

from nc_sigopt_strategy.backends.onnx_checks import (  # noqa: E402
    refuse_quantized,
)
from nc_sigopt_strategy.errors import ModelError  # noqa: E402

HELPER, T = onnx.helper, onnx.TensorProto


def model_of(*nodes: Any, inputs: Any = (), functions: Any = ()) -> Any:
    graph = HELPER.make_graph(list(nodes), "g", list(inputs), [])
    return HELPER.make_model(graph, functions=list(functions))


@pytest.mark.parametrize(
    "op",
    ["QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "MatMulInteger",
     "ConvInteger", "MatMulNBits", "QAttention", "QGemm", "MatMulIntegerToFloat",
     "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "QEmbedLayerNormalization", "QMoE"],
)  # fmt: skip
def test_quantized_ops_wherever_they_are(op: str) -> None:
    node = HELPER.make_node(op, ["x"], ["y"])
    branch = HELPER.make_graph([node], "branch", [], [])
    inside = HELPER.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    function = HELPER.make_function("f", "F", ["x"], ["y"], [node], [])
    for model in (model_of(node), model_of(inside), model_of(functions=[function])):
        with pytest.raises(ModelError, match="quantized already"):
            refuse_quantized(model)


@pytest.mark.parametrize("op", ["MatMul", "Conv", "Gemm", "FusedMatMul", "Attention", "QuickGelu"])
def test_other_ops(op: str) -> None:
    refuse_quantized(model_of(HELPER.make_node(op, ["x"], ["y"])))
