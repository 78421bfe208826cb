"""``autotune`` with Neural Compressor, and beside other runtimes, on a TensorFlow graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nc_sigopt_strategy as ncs
from nc_sigopt_strategy.errors import SettingsError

pytestmark = pytest.mark.integration
IMAGES = np.random.default_rng(0).normal(size=(32, 12, 12, 3)).astype(np.float32)
ENDS = {"inputs": ["input"], "outputs": ["logits"]}


class Loader:
    batch_size = 8

    def __iter__(self) -> Any:
        return iter([(IMAGES[start : start + 8], np.zeros(8)) for start in range(0, 32, 8)])


class Accuracy:
    """Agreement with the first model that it is called with."""

    def __init__(self) -> None:
        self.expected: Any = None
        self.calls = 0

    def __call__(self, model: Any) -> float:
        self.calls += 1
        answers = ncs.predictor(model)(IMAGES)[0].argmax(axis=1)
        if self.expected is None:
            self.expected = answers
        return float((answers == self.expected).mean())


def tuned(model: Any, folder: Path, **more: Any) -> ncs.TuningResult:
    chosen = {
        "storage": f"sqlite:///{folder / 'store.sqlite3'}",
        "output_dir": folder / "run",
        "progress": False,
        "latency_repeats": 4,
        "tolerable_loss": 0.5,
        "max_trials": 3,
        **more,
    }
    evaluation = chosen.pop("eval_fn", None) or Accuracy()
    return ncs.autotune(model, eval_fn=evaluation, calib_dataloader=Loader(), **chosen)


def test_a_frozen_graph_with_inc(small_model: Path, tmp_path: Path) -> None:
    result = tuned(small_model, tmp_path, **ENDS)
    assert result.runtime == "inc"
    assert result.found
    assert result.outcome.trials == 3
    path = result.save(tmp_path / "best.pb")
    assert path.stat().st_size > 0
    assert ncs.predictor(result.model)(IMAGES)[0].shape == (32, 4)


def test_a_frozen_graph_needs_its_ends(small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="one of inputs and outputs is missing"):
        tuned(small_model, tmp_path)


def test_a_frozen_graph_on_every_runtime(small_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    result = tuned(small_model, tmp_path, host="auto", max_trials=8, **ENDS)
    assert {row.runtime for row in result.runtimes} == {"inc", "openvino"}
    assert not [row for row in result.runtimes if row.failure]
    assert result.found


def test_an_onnx_model_with_inc(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from tests.integration.small_onnx import write_small_onnx

    model = write_small_onnx(tmp_path / "small.onnx")
    images = np.moveaxis(IMAGES, -1, 1).copy()

    class First:
        batch_size = 8

        def __iter__(self) -> Any:
            return iter([(images[:8], np.zeros(8))])

    result = ncs.autotune(
        model,
        eval_fn=lambda found: float(ncs.predictor(found)(images)[0].shape[0]),
        calib_dataloader=First(),
        host="inc",
        max_trials=3,
        settings={"storage": f"sqlite:///{tmp_path / 's.sqlite3'}", "progress": False},
        output_dir=tmp_path / "run",
    )
    assert result.runtime == "inc"
    assert result.save(tmp_path / "best").name == "best.onnx"
    result.session_options()
