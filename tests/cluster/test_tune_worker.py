"""What a worker's process makes of a job and of how it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.cluster import tune_worker
from nc_sigopt_strategy.cluster.errors import WorkerError
from nc_sigopt_strategy.cluster.requests import WorkerRequest
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.results.outcome import Outcome


class Job:
    """A job that has ended already."""

    strategy = "sigopt"
    max_trials = 9

    def __init__(self, error: str | None, interrupted: bool) -> None:
        outcome = Outcome(strategy="sigopt", found=False, stop_reason="x", error=error)
        self.end = RunEnd(outcome, interrupted)
        self.strategy_kwargs: dict[str, Any] = {}
        self.timeout = 0
        self.folder: Path | None = None

    def with_kwargs(self, kwargs: dict[str, Any]) -> Job:
        self.strategy_kwargs = kwargs
        return self

    def with_budget(self, *, timeout: int, max_trials: int | None = None) -> Job:
        self.timeout = timeout
        return self

    def prepare(self, tell: Any) -> Job:
        return self

    def run(self, folder: Path, *, progress: bool | None) -> RunEnd:
        self.folder = folder
        return self.end


def work(job: Job, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> RunEnd:
    monkeypatch.setattr(tune_worker, "open_job", lambda target, options: job)
    return tune_worker.run_worker(WorkerRequest(Path("net.onnx"), "w", 2, folder, folder, **more))


def test_an_error_that_ended_the_run_is_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WorkerError, match="Tuning ended early: the store is gone"):
        work(Job("the store is gone", False), tmp_path, monkeypatch)


@pytest.mark.parametrize(("error", "interrupted"), [(None, False), ("the store is gone", True)])
def test_else_it_has_ended_in_order(
    error: str | None, interrupted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(error, interrupted)
    assert work(job, tmp_path, monkeypatch, timeout=5) is job.end
    assert (job.timeout, job.folder) == (5, tmp_path)
    assert job.strategy_kwargs["worker"] == "w"


def test_a_last_worker_without_trials_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(None, False)
    end = work(job, tmp_path, monkeypatch, no_new_trials=True)
    assert end.outcome.stop_reason == "No trial was observed."
    assert job.folder is None
