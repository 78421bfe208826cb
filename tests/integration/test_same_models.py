"""Quantized from the statistics, a model is the one that stock INC makes.

The two models of the benchmarks at full size, some random configurations each over int8 by
min-max, kl and percentile, per channel and per tensor, bf16 and fp32.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_benchmarks.research.calibration.calibration_cases import (
    FRAMEWORKS,
    MODELS,
    CalibrationCase,
    calibration_case,
    calibration_images,
)
from nc_sigopt_benchmarks.research.calibration.reference import (
    ComparedConfiguration,
    compare_with_stock,
)
from nc_sigopt_strategy.hosts.inc.calibration import tensorflow_statistics
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1500)]

# Stock INC takes half a minute for one of ResNet50_v1.
CONFIGURATIONS = {"mobilenet_v1": 10, "resnet50_v1": 3}
# TensorFlow up to here prints six digits of a number, later versions all.
SIX_DIGITS = tuple(map(int, tf.version.VERSION.split(".")[:2])) < (2, 16)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def compared(
    case: CalibrationCase, workspace: Path, count: int, mode: str = "exact"
) -> list[ComparedConfiguration]:
    # Three images in batches of two: the last batch is short.
    quantizer = case.quantizer(calibration_images(3), 2, workspace)
    rng = np.random.default_rng(0)
    configurations = [quantizer.random(rng, kl_ops=4) for _ in range(count)]
    assert any("kl" in label for c in configurations for label in c.values())
    usage = CalibrationUsage()
    results = list(compare_with_stock(quantizer, configurations, usage, mode=mode))
    assert usage.stock == {}
    assert usage.fed == count
    return results


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("model", MODELS)
def test_random_configurations(model: str, framework: str, files: Path, tmp_path: Path) -> None:
    case = calibration_case(model, framework, files)
    for result in compared(case, tmp_path, CONFIGURATIONS[model]):
        difference = result.difference
        assert difference.structure == ()
        assert difference.other_constants == ()
        if framework == "tensorflow" and SIX_DIGITS:
            assert difference.bias_steps <= 1
            assert difference.range_share < 1e-5
        else:
            assert difference.identical


@pytest.mark.skipif(not SIX_DIGITS, reason="this TensorFlow prints all digits")
def test_as_printed_is_identical_where_digits_are_lost(files: Path, tmp_path: Path) -> None:
    case = calibration_case("mobilenet_v1", "tensorflow", files)
    for result in compared(case, tmp_path, CONFIGURATIONS["mobilenet_v1"], mode="as_printed"):
        assert result.difference.identical


def test_what_inc_does_by_itself_is_stock(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> object:
        raise KeyError("a node of a kind never seen")

    case = calibration_case("mobilenet_v1", "tensorflow", files)
    quantizer = case.quantizer(calibration_images(2), 2, tmp_path)
    rng = np.random.default_rng(0)
    labels = ("int8", "bf16", "fp32")
    configurations = [quantizer.random(rng, labels=labels) for _ in range(2)]
    usage = CalibrationUsage()
    monkeypatch.setattr(tensorflow_statistics, "tensors_to_gather", broken)
    for result in compare_with_stock(quantizer, configurations, usage):
        assert result.difference.identical
    assert list(usage.stock.values()) == [2]
