"""``bound_confidence`` decides alike in one process, in a comparison and among workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_benchmarks.judging.comparison import StrategyResult
from nc_sigopt_benchmarks.judging.verdicts import best_strategy
from nc_sigopt_benchmarks.models.find import find_model
from nc_sigopt_benchmarks.running.dispatch import run_here
from nc_sigopt_benchmarks.running.run_plan import planned_runs
from nc_sigopt_strategy.cluster.handover import STORAGE_VARIABLE
from nc_sigopt_strategy.cluster.requests import LAST_WORKER, WorkerRequest
from nc_sigopt_strategy.cluster.tune_worker import run_worker
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.results.outcome import Outcome
from tests.hosts.onnxruntime.models import mobile_net
from tests.support.pipeline import pipeline

pytestmark = pytest.mark.integration

TRIALS = 4
# Of 100 images whatever differs from FP32 answers one wrong, where two may be: any model meets the
# bound here, and nobody can be sure of it on 100 others.
PIPELINE = pipeline(
    3, 12, 12, inputs=100, calibrating=40, batch=10,
    evaluation="""
def eval_func(model):
    from nc_sigopt_strategy.hosts.predictor import predictor

    answers = predictor(model)(images)[0]
    state.setdefault("fp32", answers)  # the first call is the baseline's
    right = np.ones(100)
    right[0] = np.array_equal(answers, state["fp32"])
    yield right
""",
)  # fmt: skip
CONFIG = """
name: small
model: {{name: small, source: path, path: net.onnx}}
data: {{python: pipeline.py}}
accuracy_criterion: {{tolerable_loss: 0.02}}
tuning: {{timeout: 300, max_trials: {trials}, shuffle: false}}
strategies:
  - {{name: onnxruntime_fp32}}
  - {{name: sigopt, host: onnxruntime, strategy_kwargs: {{bound_confidence: {confidence}}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    onnx.save(mobile_net(), tmp_path / "net.onnx")
    return tmp_path


def check(outcome: Outcome, confidence: float) -> None:
    """Finalists are as probable as is asked for, and at even odds others are among them."""
    assert outcome.error is None
    assert outcome.trials == TRIALS
    assert outcome.bound_confidence == confidence
    said = [one.bound_probability for one in outcome.finalists]
    assert all(probability is not None and probability >= confidence for probability in said)
    if confidence == 0.5:
        assert any(probability is not None and probability < 0.95 for probability in said)
    else:
        best = outcome.best if outcome.found else None
        assert best is None or set(best.assignments.values()) == {"fp32"}


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_in_a_comparison(folder: Path, confidence: float) -> None:
    path = folder / "small.yaml"
    path.write_text(CONFIG.format(trials=TRIALS, confidence=confidence))
    config = read_config(path)
    run = planned_runs(config)[-1]
    own = folder / "run"
    own.mkdir()
    outcome = run_here(config, run, find_model(config.model), own).outcome
    check(outcome, confidence)
    result = StrategyResult(run.label, outcome)
    assert (best_strategy([result], None, higher_is_better=True) is not None) == outcome.found


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_among_workers(folder: Path, confidence: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, f"sqlite:///{folder / 'store.sqlite3'}")

    def work(worker: str, trials: int, **more: Any) -> Outcome:
        options = JobOptions(
            data=folder / "pipeline.py",
            host="onnxruntime",
            loss=0.02,
            max_trials=trials,
            settings={"bound_confidence": confidence},
        )
        own = folder / worker
        own.mkdir()
        request = WorkerRequest(
            folder / "net.onnx", worker, 2, own, folder, options=options, **more
        )
        return run_worker(request).outcome

    first = work("one", 2)
    assert first.bound_confidence == confidence
    joined = {"experiment_id": first.experiment_id}
    work("two", TRIALS, **joined)
    check(work(LAST_WORKER, TRIALS, no_new_trials=True, **joined), confidence)
