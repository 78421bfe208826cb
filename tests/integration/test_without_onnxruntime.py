"""A TensorFlow model where ONNX Runtime is not installed, as with the extra `tensorflow` alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_compare import PIPELINE

pytestmark = pytest.mark.integration

PROGRAM = """
import sys
sys.modules["onnxruntime"] = None  # as if it were not there
import nc_sigopt_strategy
from neural_compressor import config, quantization
import data

conf = config.PostTrainingQuantConfig(
    inputs=["input"],
    outputs=["logits"],
    accuracy_criterion=config.AccuracyCriterion(tolerable_loss=0.9),
    tuning_criterion=config.TuningCriterion(
        strategy="sigopt", strategy_kwargs={"progress": False}, max_trials=2
    ),
)
model = quantization.fit(
    sys.argv[1], conf, calib_dataloader=data.calib_dataloader, eval_func=data.eval_func
)
assert model is not None, nc_sigopt_strategy.last_outcome().stop_reason
"""


def test_a_frozen_graph(tmp_path: Path, small_model: Path) -> None:
    (tmp_path / "data.py").write_text(PIPELINE)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(small_model)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
