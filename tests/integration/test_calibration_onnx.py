"""Calibrating once on ONNX Runtime: formats, batches of several shapes, what is left to INC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from neural_compressor.adaptor.ox_utils.calibration import ONNXRTAugment
from neural_compressor.adaptor.ox_utils.quantizer import Quantizer as IncQuantizer

from nc_sigopt_benchmarks.research.calibration.reference import compare_with_stock
from nc_sigopt_benchmarks.running.quantizer import Quantizer
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration import onnxruntime as onnxruntime_calibration
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from tests.integration.small_onnx import write_small_onnx

pytestmark = pytest.mark.integration


class Batches:
    """Yields given batches, each time anew."""

    batch_size = 4

    def __init__(self, *batches: Any) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return ((batch, np.zeros(len(batch), int)) for batch in self.batches)


def images(count: int, side: int = 12, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 3, side, side)) ** 3).astype(np.float32)


EQUAL = (images(4), images(4, seed=1), images(4, seed=2))
SHORT = (*EQUAL[:2], images(1, seed=3))
# The second is wider than the first, the third narrower.
RAGGED = (images(4), 3 * images(4, 16, seed=1), images(2, 9, seed=2))


def configurations(quantizer: Quantizer) -> list[dict[str, str]]:
    rng = np.random.default_rng(0)
    labels = ("int8", "int8-kl", "int8-percentile", "int8-per-tensor", "fp32")
    return [
        *(quantizer.uniform(label) for label in labels),
        *(quantizer.random(rng) for _ in range(10)),
    ]


@pytest.mark.parametrize("quant_format", ["default", "QDQ"])
@pytest.mark.parametrize("batches", [EQUAL, SHORT, RAGGED], ids=["equal", "short", "ragged"])
def test_same_models(tmp_path: Path, batches: Any, quant_format: str) -> None:
    model = write_small_onnx(tmp_path / "small.onnx", "side")
    size = sum(map(len, batches))
    quantizer = Quantizer(
        model, Batches(*batches), tmp_path, sampling_size=size, quant_format=quant_format
    )
    usage = CalibrationUsage()
    for result in compare_with_stock(quantizer, configurations(quantizer), usage):
        assert result.difference.identical, result.assignments
    assert usage.stock == {}
    # The extremes; the histograms of "kl", which needs them only where shapes differ; and those of
    # "percentile", which is asked for later.
    assert usage.passes == (2 if batches is EQUAL else 3)


def test_inc_is_itself_again_afterwards(tmp_path: Path) -> None:
    before = dict(vars(ONNXRTAugment)), dict(vars(IncQuantizer))
    with CalibratedOnce("onnxruntime", CalibrationUsage()):
        assert (dict(vars(ONNXRTAugment)), dict(vars(IncQuantizer))) != before
    assert (dict(vars(ONNXRTAugment)), dict(vars(IncQuantizer))) == before


def test_a_failure_of_ours_costs_a_warning_not_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: Any) -> Any:
        raise KeyError("a node of a kind never seen")

    monkeypatch.setattr(onnxruntime_calibration, "_calibrated_tensors", broken)
    model = write_small_onnx(tmp_path / "small.onnx")
    quantizer = Quantizer(model, Batches(*EQUAL), tmp_path, sampling_size=12)
    usage = CalibrationUsage()
    for result in compare_with_stock(quantizer, configurations(quantizer)[:3], usage):
        assert result.difference.identical
    assert list(usage.stock.values()) == [3]
    assert caplog.text.count("a node of a kind never seen") == 1


def test_nan_is_named_with_its_batch(tmp_path: Path) -> None:
    bad = images(4)
    bad[0, 0, 0, 0] = np.nan
    model = write_small_onnx(tmp_path / "small.onnx")
    quantizer = Quantizer(model, Batches(EQUAL[0], bad), tmp_path, sampling_size=8)
    with (
        CalibratedOnce("onnxruntime", CalibrationUsage()),
        pytest.raises(DataError, match="batch 1 holds NaN"),
    ):
        quantizer.quantize(quantizer.space.default)


def test_no_data(tmp_path: Path) -> None:
    model = write_small_onnx(tmp_path / "small.onnx")
    quantizer = Quantizer(model, Batches(), tmp_path, sampling_size=8)
    with (
        CalibratedOnce("onnxruntime", CalibrationUsage()),
        pytest.raises(DataError, match="yielded no batch"),
    ):
        quantizer.quantize(quantizer.space.default)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"layer_wise": True}, "layer-wise"),
        ({"already_quantized": True}, "quantized already"),
        ({"backend": "CUDAExecutionProvider"}, "CUDAExecutionProvider"),
        ({"model_wrapper": SimpleNamespace(is_large_model=True)}, "larger than 2 GB"),
    ],
)
def test_what_is_not_covered(changed: dict[str, Any], reason: str) -> None:
    usual = {
        "layer_wise": False,
        "already_quantized": False,
        "augment_nodes": [],
        "backend": "CPUExecutionProvider",
        "model_wrapper": SimpleNamespace(is_large_model=False),
    }
    not_covered = onnxruntime_calibration._not_covered
    assert not_covered(SimpleNamespace(**usual), {}) is None
    assert reason in str(not_covered(SimpleNamespace(**{**usual, **changed}), {}))
    assert "asked for" in str(not_covered(SimpleNamespace(**usual), None))
