"""Two processes that somebody started under one name, or in one folder."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.experiments.lease import Lease
from nc_sigopt_strategy.results.process import this_process
from nc_sigopt_strategy.results.run_facts import marked_as_running
from nc_sigopt_strategy.results.run_files import read_trials
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.ending import Ended
from nc_sigopt_strategy.tuning.loop import tune
from nc_sigopt_strategy.tuning.preparation import Preparation, prepare


def prepared(folder: Path, **kwargs: Any) -> Preparation:
    store = f"sqlite:///{folder.parent / 'store.sqlite3'}"
    settings = Settings.from_kwargs({"storage": store, "progress": False, **kwargs})
    return prepare(FakeHost(ops=6, tolerable_loss=0.5), settings, folder=folder, seed=0)


def run(folder: Path, max_trials: int, **kwargs: Any) -> Ended:
    preparation = prepared(folder, **kwargs)
    budget = Budget(max_trials, 0.0, False, clock=preparation.host.clock)  # type: ignore[attr-defined]
    return tune(preparation, budget)


def test_a_folder_that_a_run_works_in_is_refused(tmp_path: Path) -> None:
    with (
        marked_as_running(tmp_path / "run", "first"),
        pytest.raises(SettingsError) as refused,
    ):
        prepared(tmp_path / "run")
    said = str(refused.value)
    assert f"worker first, process {os.getpid()} on {platform.node()}, since 2" in said
    assert "output_dir" in said
    assert run(tmp_path / "run", 2).outcome.trials == 2


def test_a_run_that_comes_in_between_is_refused_too(tmp_path: Path) -> None:
    preparation = prepared(tmp_path / "run")
    budget = Budget(2, 0.0, False, clock=FakeHost().clock)
    with marked_as_running(tmp_path / "run"), pytest.raises(SettingsError, match="is in use"):
        tune(preparation, budget)


@pytest.fixture
def other_process() -> Iterator[str]:
    """A process that is at work, as a lease names it."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield f"{this_process().partition(':')[0]}:{process.pid}"
    process.kill()
    process.wait()


def test_a_second_worker_of_a_name_is_renamed_and_leaves_the_first_ones_trial(
    tmp_path: Path, other_process: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(tmp_path / "a", 3, worker="w").outcome.experiment_id
    assert first is not None
    twin = prepared(tmp_path / "b", worker="w", sigopt_experiment_id=first).experiment
    assert twin is not None
    held = twin.suggest(4, origin="the other process'")
    lease = Lease("w", "there", other_process, time.time() + 600)
    twin.annotate(held, lease.to_metadata())  # type: ignore[attr-defined]

    caplog.clear()
    joined = prepared(tmp_path / "c", worker="w", sigopt_experiment_id=first)
    (said,) = [r.message for r in caplog.records if "under the name w" in r.message]
    name = joined.workplace.worker.name
    assert name.startswith("w:")
    assert name in said
    assert "there" in said
    experiment = joined.experiment
    assert experiment is not None
    assert experiment.is_shared
    assert [s.suggestion_id for s in experiment.open_suggestions()] == [held.suggestion_id]


_WORKER = """
import json, sys, time
from pathlib import Path
from tests.tuning.test_twins import run
from nc_sigopt_strategy.testing.fake_host import FakeHost
evaluate = FakeHost.evaluate
def slowly(self, model):
    time.sleep(0.05)
    return evaluate(self, model)
FakeHost.evaluate = slowly
ended = run(Path(sys.argv[1]), 30, **json.loads(sys.argv[2]))
"""


# On a machine of its own, as far as the other can tell, whose clock is so many seconds off.
_ELSEWHERE = (
    """
import platform, sys, time
off, node, now = float(sys.argv[3]), sys.argv[4], time.time
time.time = lambda: now() + off
platform.node = lambda: node
"""
    + _WORKER
)


def test_workers_on_machines_whose_clocks_are_hours_apart_leave_each_other_alone(
    tmp_path: Path,
) -> None:
    known = run(tmp_path / "a", 2, parallel_bandwidth=2).outcome.experiment_id
    kwargs = {
        "parallel_bandwidth": 2,
        "sigopt_experiment_id": known,
        "patience": 0,
        "one_trial_per_machine": False,
    }
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                _ELSEWHERE,
                str(tmp_path / name),
                json.dumps(kwargs),
                off,
                name,
            ],
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, off in (("b", "-7200"), ("c", "7200"))
    ]
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert not any("is dropped" in text for text in said)
    trials = read_trials(tmp_path / "b")
    assert len(trials) == len({t.suggestion_id for t in trials}) == 30
    assert {"b", "c"} <= {trial.machine for trial in trials}
    measured = [json.dumps(t.assignments, sort_keys=True) for t in trials if not t.duplicate_of]
    assert len(measured) == len(set(measured))


def test_two_live_workers_of_one_name_keep_to_the_budget(tmp_path: Path) -> None:
    known = run(tmp_path / "a", 2, worker="w", parallel_bandwidth=2).outcome.experiment_id
    kwargs = {
        "worker": "w",
        "parallel_bandwidth": 2,
        "sigopt_experiment_id": known,
        "patience": 0,
        "one_trial_per_machine": False,
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(tmp_path / name), json.dumps(kwargs)],
            cwd=Path(__file__).parents[2],
        )
        for name in "bc"
    ]
    assert [process.wait(300) for process in processes] == [0, 0]
    trials = read_trials(tmp_path / "b")
    assert len(trials) == len({t.suggestion_id for t in trials}) == 30
    measured = [json.dumps(t.assignments, sort_keys=True) for t in trials if not t.duplicate_of]
    assert len(measured) == len(set(measured))
