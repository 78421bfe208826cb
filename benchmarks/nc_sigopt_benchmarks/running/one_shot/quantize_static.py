"""ONNX Runtime's own static quantization: what its users do without a tuner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.choices import check_choices
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.model_files import ONNXRUNTIME
from nc_sigopt_benchmarks.running.one_shot.built import OneShot
from nc_sigopt_strategy.errors import SettingsError

QUANTIZE_STATIC = "quantize_static"
_METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
_INTEGERS = ("QInt8", "QUInt8")
_CHOICES = {
    "calibrate_method": tuple(_METHODS),
    "per_channel": (True, False),
    "activation_type": _INTEGERS,
    "weight_type": _INTEGERS,
}
# The histogram methods hold every activation of every calibration image at once, for MobileNet_v1
# some 10 million numbers an image (microsoft/onnxruntime issue 10503: more than 256 GB).
HISTOGRAM_IMAGES = 64


def check_quantize_static(kwargs: Mapping[str, Any], framework: str) -> None:
    """Raise ``SettingsError`` where there is no such model."""
    check_choices(QUANTIZE_STATIC, kwargs, _CHOICES)
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
    """Pre-process and quantize as ONNX Runtime's documentation has it.

    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html. Arguments as
    for ``build_one_shot``; its defaults are ONNX Runtime's, but for int8 weights per channel.
    "percentile" and "entropy" use at most ``HISTOGRAM_IMAGES`` images.
    """
    import onnx
    from onnxruntime import quantization as ort
    from onnxruntime.quantization.shape_inference import quant_pre_process

    workspace.mkdir(parents=True, exist_ok=True)
    prepared, quantized = workspace / "prepared.onnx", workspace / "quantized.onnx"
    quant_pre_process(str(model.path), str(prepared))
    method = kwargs.get("calibrate_method", "minmax")
    limit = sampling_size if method == "minmax" else min(sampling_size, HISTOGRAM_IMAGES)
    name = onnx.load(str(prepared), load_external_data=False).graph.input[0].name
    ort.quantize_static(
        str(prepared),
        str(quantized),
        _reader(loader, name, limit),
        quant_format=ort.QuantFormat[quant_format],
        calibrate_method=ort.CalibrationMethod[_METHODS[method]],
        per_channel=kwargs.get("per_channel", True),
        activation_type=ort.QuantType[kwargs.get("activation_type", "QUInt8")],
        weight_type=ort.QuantType[kwargs.get("weight_type", "QInt8")],
    )
    built = onnx.load(str(quantized))
    for path in (prepared, quantized):
        path.unlink()
    return OneShot(built, built.SerializeToString())


def _reader(loader: Any, name: str, limit: int) -> Any:
    """The loader as ONNX Runtime wants it, cut after ``limit`` inputs."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime ships no types
        def __init__(self) -> None:
            self._feeds: Iterator[dict[str, Any]] = _feeds(loader, name, limit)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._feeds, None)

    return Reader()


def _feeds(loader: Any, name: str, limit: int) -> Iterator[dict[str, Any]]:
    # One input a feed: the histogram methods cannot take feeds of several sizes, as a shorter
    # last batch makes them. Their option for taking feeds in turn is no way out, since it changes
    # what "entropy" finds: the bins that it adds turn on a search that there is not without it.
    left = limit
    for inputs, _ in loader:
        if left <= 0:
            return
        for position in range(min(left, len(inputs))):
            yield {name: inputs[position : position + 1]}
        left -= len(inputs)
