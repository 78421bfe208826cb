"""The same strategy on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.results.run_files import read_trials
from tests.conftest import Loader
from tests.integration.fitting import configure, fit, outcome
from tests.integration.small_onnx import write_small_onnx

pytestmark = pytest.mark.integration

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def onnx_model(tmp_path: Path) -> Path:
    return write_small_onnx(tmp_path / "small.onnx")


def test_tunes_an_onnx_model(tmp_path: Path, onnx_model: Path, small_data: Any) -> None:
    images = np.ascontiguousarray(small_data[0].transpose(0, 3, 1, 2))
    session = onnxruntime.InferenceSession(str(onnx_model))
    labels = session.run(None, {"input": images})[0].argmax(axis=1)

    def accuracy(model: Any) -> float:
        quantized = onnxruntime.InferenceSession(model.SerializeToString())
        (logits,) = quantized.run(None, {"input": images})
        return float((logits.argmax(axis=1) == labels).mean())

    conf = configure(tmp_path, loss=0.9, max_trials=4)
    conf.inputs, conf.outputs = [], []
    model = fit(onnx_model, conf, Loader(images, labels), accuracy)
    assert model is not None
    best = outcome().best
    assert best is not None
    assert accuracy(model.model) == best.accuracy
    trials = read_trials(tmp_path / "run")
    assert len(trials) == 4
    calibration = outcome().calibration
    assert calibration is not None
    assert (calibration["passes"], calibration["stock"]) == (1, {})
    assert {t.state.value for t in trials} == {"observed"}
    assert all(t.output_noise is not None and t.output_noise >= 0 for t in trials)
    assert (tmp_path / "run" / "best_model.onnx").is_file()
