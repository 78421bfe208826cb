"""Ops that a search left in fp32 run in fp32, in whatever session of ONNX Runtime."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from nc_sigopt_strategy.backends.onnx_kept_fp32 import (  # noqa: E402
    THE_SWITCH,
    is_rewritten,
    keep_fp32,
)
from nc_sigopt_strategy.backends.onnxruntime import OnnxRuntimeBackend  # noqa: E402
from tests.backends.border_models import border_model, copy_of, images_for  # noqa: E402

# The step of the output's quantization: ``out_scale`` of the models at the border.
STEP = 0.5
LEVELS = ("disable", "basic", "extended", "all")
CASES: list[tuple[str, dict[str, Any]]] = [
    ("Conv", {}),
    ("Conv", {"bias": False}),
    ("Conv", {"relu": True}),
    ("Conv", {"opset": 11}),
    ("Conv", {"between": "MaxPool"}),
    ("Conv", {"between": "Transpose"}),
    ("Conv", {"between": "MaxPool", "opset": 12}),
    ("depthwise", {}),
    ("ConvTranspose", {}),
    ("Gemm", {}),
    ("Gemm", {"bias": False}),
    ("Gemm", {"relu": True}),
    ("MatMul", {}),
    ("MatMul3", {"batch": 2}),
]


def outputs(model: Any, level: str = "all", **more: Any) -> Any:
    options = onnxruntime.SessionOptions()
    name = {"disable": "ORT_DISABLE_ALL"}.get(level, f"ORT_ENABLE_{level.upper()}")
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, name)
    for key, value in more.get("entries", {}).items():
        options.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": images_for(model)})[0]


def how(model: Any, level: str = "all") -> str | None:
    backend = OnnxRuntimeBackend({"graph_optimization_level": level})
    return backend.ran_as(SimpleNamespace(model=model), ["op"]).get("op")


@pytest.mark.parametrize(("kind", "more"), CASES)
def test_a_kept_op_computes_in_fp32_at_every_level(kind: str, more: dict[str, Any]) -> None:
    model = border_model(kind, **more)
    kept = copy_of(model)
    assert keep_fp32(kept) == 1
    assert is_rewritten(kept)
    # Where nothing is optimized every op runs as it stands.
    meant = outputs(model, "disable")
    np.testing.assert_array_equal(outputs(kept, "disable"), meant)
    for level in LEVELS:
        assert_same_but_for_roundings(outputs(kept, level), meant)
        assert how(kept, level) == "fp32", level


def assert_same_but_for_roundings(found: Any, meant: Any) -> None:
    """Kernels differ in the order in which they add, with the processor, too.

    So now and then a value lies on the other side of a rounding. With rounded weights most are
    far off.
    """
    off = np.abs(found - meant)
    assert off.max() <= STEP * 1.001
    assert (off > 0).mean() < 0.02


@pytest.mark.parametrize(("kind", "more"), CASES)
def test_without_it_what_ran_is_told(kind: str, more: dict[str, Any]) -> None:
    """By feature: where this ONNX Runtime rounds the weights, the count must see it."""
    model = border_model(kind, **more)
    off = np.abs(outputs(model) - outputs(model, "disable"))
    assert (how(model) == "fp32") == ((off > 0).mean() < 0.02)


def test_the_session_entry_does_the_same_for_a_model_that_was_not_rewritten() -> None:
    model = border_model("Conv")
    assert_same_but_for_roundings(outputs(model, entries=THE_SWITCH), outputs(model, "disable"))


def test_quantized_ops_stay_as_they_are() -> None:
    """int8 weights: the op was chosen int8."""
    model = border_model("Conv")
    weights = next(c for c in model.graph.initializer if c.name == "w")
    weights.CopyFrom(onnx.numpy_helper.from_array(np.ones((8, 8, 3, 3), np.int8), "w8"))
    node = next(n for n in model.graph.node if n.name == "op")
    node.input[1] = "wd"
    dequantize = onnx.helper.make_node("DequantizeLinear", ["w8", "scale"], ["wd"], "dqw")
    model.graph.node.insert(0, dequantize)
    before = model.SerializeToString()
    assert keep_fp32(model) == 0
    assert model.SerializeToString() == before
    assert not is_rewritten(model)
    assert how(model) == "int8"
    assert how(model, "disable") == "fp32 on int8 weights"


def test_what_others_read_stays_and_what_nobody_reads_goes() -> None:
    model = border_model("Conv")
    again = onnx.helper.make_node("Conv", ["xd", "w", "b"], ["y2"], "op2", pads=[1] * 4)
    summed = onnx.helper.make_node("Add", ["y2", "xd"], ["out2"], "sum")
    model.graph.node.extend([again, summed])
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("out2", onnx.TensorProto.FLOAT, None)
    )
    meant = outputs(model, "disable")
    assert keep_fp32(model) == 2
    kinds = [(n.op_type, n.name) for n in model.graph.node if n.op_type == "DequantizeLinear"]
    # "sum" reads the old one; both convolutions share the new one.
    assert len(kinds) == 3
    np.testing.assert_array_equal(outputs(model, "disable"), meant)
    gemm = border_model("Gemm")
    keep_fp32(gemm)
    assert "b" not in {c.name for c in gemm.graph.initializer}


def test_a_second_time_changes_nothing() -> None:
    for kind, more in CASES:
        model = border_model(kind, **more)
        keep_fp32(model)
        once = model.SerializeToString()
        assert keep_fp32(model) == 0
        assert model.SerializeToString() == once


def test_the_backend_says_what_a_deployment_needs() -> None:
    backend = OnnxRuntimeBackend({"intra_op_num_threads": 1})
    model = SimpleNamespace(model=border_model("Conv"))
    chosen = {"session_options": {"intra_op_num_threads": 1}}
    assert backend.deployment(model) == chosen
    assert backend.keep_choices(model) == 1
    rebuilt = {"rebuilt_from_recipe": {"session_config_entries": THE_SWITCH}}
    assert backend.deployment(model) == {**chosen, **rebuilt}


def test_a_model_whose_file_is_evaluated_is_left_alone() -> None:
    model = SimpleNamespace(model=border_model("Conv"), is_large_model=True, model_path="big.onnx")
    assert OnnxRuntimeBackend().keep_choices(model) == 0
    assert not is_rewritten(model.model)


def test_a_model_that_cannot_be_optimized_costs_only_the_report() -> None:
    model = border_model("Conv")
    model.graph.node[0].op_type = "NoSuchOp"
    assert OnnxRuntimeBackend().ran_as(SimpleNamespace(model=model), ["op"]) == {}
