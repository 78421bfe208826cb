"""Models that are built at once: what they hold, and what wrong settings are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_benchmarks.datasets import CalibrationLoader, ImageSet
from nc_sigopt_benchmarks.models.benchmark_model import BenchmarkModel
from nc_sigopt_benchmarks.running.one_shot import OneShot, build_one_shot, check_one_shot
from nc_sigopt_strategy.errors import SettingsError
from tests.conftest import INPUT_NAME, OUTPUT_NAME
from tests.integration.small_onnx import write_small_onnx


def build(
    name: str,
    kwargs: dict[str, Any],
    path: Path,
    images: Any,
    folder: Path,
    quant_format: str = "QDQ",
) -> OneShot:
    framework = "onnxruntime" if path.suffix == ".onnx" else "tensorflow"
    model = BenchmarkModel(
        "small", "path", "", path, (INPUT_NAME,), (OUTPUT_NAME,), framework=framework
    )
    # 20 images in batches of 8: the last batch is shorter.
    loader = CalibrationLoader(ImageSet(images[:20], np.zeros(20, np.int64)), 8)
    return build_one_shot(
        name, kwargs, model, loader, folder, quant_format=quant_format, sampling_size=20
    )


@pytest.fixture
def onnx_images(small_data: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return np.ascontiguousarray(small_data[0].transpose(0, 3, 1, 2))


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_static_quantization_calibrates_by_batches_of_any_size(
    method: str, onnx_images: np.ndarray, tmp_path: Path
) -> None:
    import onnxruntime

    path = write_small_onnx(tmp_path / "small.onnx")
    built = build("quantize_static", {"calibrate_method": method}, path, onnx_images, tmp_path)
    assert "QuantizeLinear" in {node.op_type for node in built.model_object.graph.node}
    found, expected = (
        onnxruntime.InferenceSession(content).run(None, {"input": onnx_images})[0]
        for content in (built.serialized, path.read_bytes())
    )
    assert 0 < np.abs(found - expected).max() < 0.2 * np.abs(expected).max()


def test_static_quantization_in_quantized_operators(
    onnx_images: np.ndarray, tmp_path: Path
) -> None:
    path = write_small_onnx(tmp_path / "small.onnx")
    built = build("quantize_static", {}, path, onnx_images, tmp_path, "QOperator")
    assert "QLinearConv" in {node.op_type for node in built.model_object.graph.node}


def test_uniform_int8_and_fp32(
    small_model: Path, small_data: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    kinds = {}
    for dtype in ("int8", "fp32"):
        built = build("uniform", {"dtype": dtype}, small_model, small_data[0], tmp_path)
        nodes = built.model_object.as_graph_def().node
        kinds[dtype] = any("Quantized" in node.op for node in nodes)
        assert built.serialized
        assert built.recipe
    assert kinds == {"int8": True, "fp32": False}


@pytest.mark.parametrize(
    ("name", "kwargs", "framework", "message"),
    [
        ("uniform", {}, "tensorflow", r"needs dtype.*int8, bf16, fp32"),
        ("uniform", {"dtyp": "int8"}, "tensorflow", r"'dtyp'.*Did you mean 'dtype'"),
        ("uniform", {"dtype": "int4"}, "tensorflow", r"dtype is 'int4'"),
        ("uniform", {"dtype": "bf16"}, "onnxruntime", r"no bf16 kernels"),
        ("quantize_static", {}, "tensorflow", r"is ONNX Runtime's.*format to onnx"),
        ("quantize_static", {"per_chanel": True}, "onnxruntime", r"Did you mean 'per_channel'"),
        (
            "quantize_static",
            {"activation_type": "QInt8", "weight_type": "QUInt8"},
            "onnxruntime",
            r"QInt8 and weight_type QUInt8",
        ),
    ],
)
def test_wrong_settings(name: str, kwargs: dict[str, Any], framework: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_one_shot(name, kwargs, framework)
