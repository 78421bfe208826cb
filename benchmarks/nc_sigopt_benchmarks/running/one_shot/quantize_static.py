"""ONNX Runtime's own static quantization, in a comparison of ONNX models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.choices import check_choices
from nc_sigopt_benchmarks.config.rivals import STATIC_CHOICES
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.model_files import ONNXRUNTIME
from nc_sigopt_benchmarks.running.one_shot.built import OneShot
from nc_sigopt_strategy.errors import SettingsError

QUANTIZE_STATIC = "quantize_static"


def check_quantize_static(kwargs: Mapping[str, Any], framework: str) -> None:
    """Raise ``SettingsError`` where there is no such model."""
    check_choices(QUANTIZE_STATIC, kwargs, STATIC_CHOICES)
    if framework != ONNXRUNTIME:
        raise SettingsError(
            f"{QUANTIZE_STATIC} is ONNX Runtime's, and the model is TensorFlow's.",
            "Set model.format to onnx, or take the strategy out.",
        )
    types = (kwargs.get("activation_type", "QUInt8"), kwargs.get("weight_type", "QInt8"))
    if types == ("QInt8", "QUInt8"):
        raise SettingsError(
            f"{QUANTIZE_STATIC}: activation_type is QInt8 and weight_type QUInt8.",
            "ONNX Runtime cannot run that pair: set weight_type to QInt8.",
        )


def build_quantize_static(
    kwargs: Mapping[str, Any],
    model: BenchmarkModel,
    loader: Any,
    workspace: Path,
    *,
    quant_format: str,
    sampling_size: int,
) -> OneShot:
    """See ``StaticQuantization``; arguments as for ``build_one_shot``."""
    import onnx

    from nc_sigopt_benchmarks.running.rivals.onnx_static import StaticQuantization

    workspace.mkdir(parents=True, exist_ok=True)
    path = workspace / "quantized.onnx"
    static = StaticQuantization(
        model.path,
        workspace,
        kwargs,
        lambda: _single_inputs(loader, sampling_size),
        quant_format=quant_format,
    )
    static.write(path)
    built = onnx.load(str(path))
    static.clean()
    path.unlink()
    return OneShot(built, built.SerializeToString())


def _single_inputs(loader: Any, limit: int) -> Iterator[Any]:
    left = limit
    for inputs, _ in loader:
        if left <= 0:
            return
        for position in range(min(left, len(inputs))):
            yield inputs[position : position + 1]
        left -= len(inputs)
