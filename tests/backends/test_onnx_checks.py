"""What is said of ONNX models and batches that do not go together, on protos alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

onnxruntime = pytest.importorskip("onnxruntime")

from nc_sigopt_strategy.backends.onnx_checks import (  # noqa: E402
    declared_inputs,
    mismatches,
    refuse_quantized,
)
from nc_sigopt_strategy.errors import ModelError  # noqa: E402

HELPER, T = onnx.helper, onnx.TensorProto


def model_of(*nodes: Any, inputs: Any = (), functions: Any = ()) -> Any:
    graph = HELPER.make_graph(list(nodes), "g", list(inputs), [])
    return HELPER.make_model(graph, functions=list(functions))


@pytest.mark.parametrize(
    ("kind", "shape", "array", "said"),
    [
        (T.FLOAT, [1, 3], np.zeros((8, 3), np.float32), "axis 0: got 8, expected 1"),
        (T.FLOAT, ["N", 3], np.zeros((8, 4), np.float32), "axis 1: got 4, expected 3"),
        (T.FLOAT, ["N", 3], np.zeros(3, np.float32), "has 1 axes (3,), expected 2: (any, 3)"),
        (T.FLOAT, ["N", 3], np.zeros((8, 3)), "is of type float64, expected float"),
        (T.INT64, ["N"], np.zeros(8, np.int32), "is of type int32, expected int64"),
        (T.STRING, ["N"], np.zeros(8, np.int32), "is of type int32, expected string"),
        (T.FLOAT16, ["N"], np.zeros(8, np.float32), "is of type float32, expected float16"),
    ],
)
def test_mismatch(kind: int, shape: Any, array: Any, said: str) -> None:
    model = model_of(inputs=[HELPER.make_tensor_value_info("x", kind, shape)])
    (found,) = mismatches(declared_inputs(model), {"x": array, "more": array})
    assert found.startswith(f"input 'x' {said}")


@pytest.mark.parametrize(
    ("kind", "shape", "array"),
    [
        (T.FLOAT, ["N", 3], np.zeros((8, 3), np.float32)),
        (T.FLOAT, None, np.zeros((8, 3), np.float32)),
        (T.FLOAT, [0, 3], np.zeros((8, 3), np.float32)),
        (T.FLOAT, [], np.float32(2)),
        (T.STRING, ["N"], np.array(["a", "b"])),
        (T.STRING, ["N"], np.array(["a", "b"], object)),
        (T.BFLOAT16, ["N"], np.zeros(8, np.uint16)),
        (T.BOOL, ["N"], np.zeros(8, bool)),
    ],
)
def test_match(kind: int, shape: Any, array: Any) -> None:
    model = model_of(inputs=[HELPER.make_tensor_value_info("x", kind, shape)])
    assert mismatches(declared_inputs(model), {"x": array}) == []


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
