"""Several processes tune one model on one experiment: in a shared store, and through a server."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.opening import join_on
from nc_sigopt_strategy.results.trial_record import TrialRecord
from tests.engine.http_server import serve_driver
from tests.integration.workers import WorkerProcess

pytestmark = pytest.mark.integration

TOKEN = "SECRETSECRETSECRET0123456789"
BUDGET = 10


@pytest.fixture
def data(small_data: Any, small_labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return small_data[0], small_labels


def _check(experiment: Experiment, workers: list[WorkerProcess], budget: int) -> list[TrialRecord]:
    """What must hold at the end, however the work was shared."""
    assert experiment.observed == budget
    assert experiment.open_suggestions() == []
    records = [record for record, _ in experiment.trials()]
    measured = [r for r in records if r.duplicate_of is None and r.latency_seconds is not None]
    assert len({tuple(sorted(r.assignments.items())) for r in records}) == budget
    # One reference for all: the ratio times the first one's latency.
    kept = experiment.read_record().reference
    assert kept is not None
    reference = kept.seconds
    for record in measured:
        assert record.latency_seconds == pytest.approx((record.latency_ratio or 0.0) * reference)
        assert record.machine
    for worker in workers:
        own = {r.observation_id for r in worker.trials}
        assert len(own) == len(worker.trials) == budget
        assert worker.outcome.best is not None
        assert (worker.folder / "run" / "best_model.pb").exists()
    return records


def test_two_workers_in_one_store(
    tmp_path: Path, small_model: Path, data: tuple[np.ndarray, np.ndarray]
) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    kwargs = {"storage": url, "parallel_bandwidth": 2, "sampler": "random"}
    first = WorkerProcess(tmp_path / "one", small_model, data, kwargs, max_trials=1)
    known = first.experiment_id()
    first.wait()
    joined = {**kwargs, "sigopt_experiment_id": known}
    # Both start at once, so that neither has used up the budget before the other one is there.
    start = tmp_path / "start"
    one, two = (
        WorkerProcess(
            tmp_path / name, small_model, data, joined, max_trials=BUDGET, sleep=1.0, start=start
        )
        for name in ("one", "two")
    )
    one.until_ready()
    two.until_ready()
    start.touch()
    one.wait()
    two.wait()
    records = _check(join_on(open_embedded(url), known), [one, two], BUDGET)
    assert len({record.worker for record in records}) == 2
    spans = sorted(one.evaluations + two.evaluations)
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans)), (
        "two trials on one machine at the same time"
    )


def test_a_killed_workers_trial_is_run_by_the_other(
    tmp_path: Path, small_model: Path, data: tuple[np.ndarray, np.ndarray]
) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    kwargs = {"storage": url, "parallel_bandwidth": 2, "sampler": "random"}
    # It dies in its third trial.
    one = WorkerProcess(tmp_path / "one", small_model, data, kwargs, max_trials=BUDGET, die_at=4)
    known = one.experiment_id()
    one.wait(-signal.SIGKILL)
    experiment = join_on(open_embedded(url), known)
    (left,) = experiment.open_suggestions()
    joined = {**kwargs, "sigopt_experiment_id": known}
    two = WorkerProcess(tmp_path / "two", small_model, data, joined, max_trials=BUDGET)
    two.wait()
    experiment = join_on(open_embedded(url), known)
    records = _check(experiment, [two], BUDGET)
    again = next(r for r in records if r.assignments == left.assignments)
    assert again.worker != records[0].worker
    assert again.failure is None


def test_workers_through_a_server_with_stores_of_their_own(
    tmp_path: Path, small_model: Path, data: tuple[np.ndarray, np.ndarray]
) -> None:
    driver = EmbeddedDriver(f"sqlite:///{tmp_path}/server.sqlite3", sampler="random")
    driver.request("POST", ["clients", "1", "projects"], {"id": "int8", "name": "int8"}, None)
    with serve_driver(driver, token=TOKEN) as server:
        kwargs = {
            "sigopt_api_token": TOKEN,
            "sigopt_api_url": server,
            "sigopt_project_id": "int8",
            "parallel_bandwidth": 3,
            "sampler": "random",
            # The first trial waits for the other workers, which would wait for it.
            "one_trial_per_machine": False,
        }
        gate = tmp_path / "gate"

        def start(name: str, gate: Path | None = None, **more: Any) -> WorkerProcess:
            own = {**kwargs, "storage": f"sqlite:///{tmp_path}/{name}.sqlite3", **more}
            return WorkerProcess(
                tmp_path / name, small_model, data, own, max_trials=BUDGET, sleep=0.5, gate=gate
            )

        one = start("one", gate)
        known = one.experiment_id()
        two = start("two", sigopt_experiment_id=known)
        three = start("three", sigopt_experiment_id=known, suggestions="server")
        workers = [one, two, three]
        for worker in workers[1:]:
            worker.experiment_id()
        gate.touch()
        for worker in workers:
            worker.wait()
        import sigopt

        remote = sigopt.Connection(driver=lambda **_: driver)
        records = _check(join_on(remote, known), workers, BUDGET)
        assert len({record.worker for record in records}) >= 2
    driver.close()
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes(), path
