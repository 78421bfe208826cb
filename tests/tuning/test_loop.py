"""The whole loop on a fake host: no framework, and a clock of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from nc_sigopt_strategy.results.trial_record import TrialState
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.testing.fake_models import FakeModel
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.ending import Ended
from nc_sigopt_strategy.tuning.host import Evaluation
from nc_sigopt_strategy.tuning.loop import tune
from nc_sigopt_strategy.tuning.preparation import prepare


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def run(
    host: FakeHost, folder: Path, *, max_trials: int = 8, timeout: float = 0, **kwargs: Any
) -> Ended:
    settings = Settings.from_kwargs(
        {
            "storage": f"sqlite:///{folder.parent / 'store.sqlite3'}",
            "output_dir": str(folder),
            "progress": False,
            **kwargs,
        }
    )
    budget = Budget(max_trials, timeout, settings.stop_at_first, clock=host.clock)
    return tune(prepare(host, settings, folder=folder, seed=0), budget)


@pytest.mark.parametrize("seed", range(3))
def test_all_configurations_tried_give_the_optimum(folder: Path, seed: int) -> None:
    host = FakeHost(ops=3, seed=seed)
    ended = run(host, folder, max_trials=99, sampler="grid")
    assert ended.outcome.stop_reason == "All 27 configurations have been tried."
    assert ended.model == host.optimum()
    assert ended.outcome.best is not None
    assert ended.outcome.best.latency_seconds == pytest.approx(host.optimum().latency_seconds)
    assert ended.outcome.fp32_latency_seconds == pytest.approx(host.fp32.latency_seconds)


def test_the_sampler_is_near_the_optimum_long_before(folder: Path) -> None:
    host = FakeHost(ops=8, seed=1, jitter=0.02)
    ended = run(host, folder, max_trials=30)
    assert ended.model is not None
    assert ended.model.latency_seconds < 1.1 * host.optimum().latency_seconds


def test_the_outcome_is_on_disk(folder: Path) -> None:
    host = FakeHost(seed=1)
    ended = run(host, folder)
    assert read_outcome(folder) == ended.outcome
    assert len(read_trials(folder)) == ended.outcome.trials == 8
    assert set(ended.outcome.files) == {"outcome", "trials", "recipe", "model", "report"}
    assert (folder / "best_model.json").is_file()


@pytest.mark.parametrize("method", ["quantize", "evaluate"])
def test_what_fails_is_a_failed_trial_with_its_reason(folder: Path, method: str) -> None:
    host = FakeHost(faults={(method, 2): ValueError("of another kind"), (method, 3): OSError("x")})
    outcome = run(host, folder).outcome
    trials = read_trials(folder)
    assert [t.state is TrialState.FAILED for t in trials[:4]] == [False, True, True, False]
    assert trials[1].failure == "ValueError: of another kind"
    assert outcome.trials == 8
    assert outcome.error is None


@pytest.mark.parametrize("method", ["quantize", "evaluate"])
def test_ctrl_c_closes_the_open_trial_and_keeps_the_best(folder: Path, method: str) -> None:
    host = FakeHost(tolerable_loss=0.5, faults={(method, 4): KeyboardInterrupt()})
    ended = run(host, folder)
    assert ended.outcome.stop_reason == "Interrupted."
    assert ended.outcome.error is None
    assert ended.model is not None
    last = read_trials(folder)[-1]
    assert (last.number, last.interrupted, last.failure) == (4, True, "Interrupted.")


@pytest.mark.parametrize("method", ["session", "check", "baseline"])
def test_what_goes_wrong_before_the_first_trial_is_the_outcome(folder: Path, method: str) -> None:
    ended = run(FakeHost(faults={(method, 1): RuntimeError("no data today")}), folder)
    assert ended.model is None
    assert ended.outcome.error == ended.outcome.stop_reason == "RuntimeError: no data today"
    assert not ended.outcome.found
    assert read_outcome(folder) == ended.outcome


def test_a_run_in_which_nothing_works_ends_early(folder: Path) -> None:
    faults = {("quantize", call): ValueError("always") for call in range(1, 40)}
    outcome = run(FakeHost(faults=faults), folder, max_trials=40).outcome
    assert outcome.stop_reason == "All 10 trials failed for one reason: ValueError: always"
    assert outcome.trials == 10


def test_the_hosts_time_is_the_budgets(folder: Path) -> None:
    host = FakeHost(ops=6)
    outcome = run(host, folder, max_trials=500, timeout=20.0).outcome
    assert outcome.stop_reason == "The time of 20 s is up."
    assert 5 < outcome.trials < 15
    assert host.clock() <= 20.0 + 1.0


def test_a_trial_that_takes_too_long_has_failed(folder: Path) -> None:
    outcome = run(FakeHost(), folder, max_trials=3, trial_timeout_seconds=0.4).outcome
    assert not outcome.found
    assert all("trial_timeout_seconds" in str(t.failure) for t in read_trials(folder))


def test_equal_graphs_are_measured_once(folder: Path) -> None:
    # Ops that are locked leave one parameter of three values; the grid asks for each once.
    host = FakeHost(ops=2, tolerable_loss=0.9)
    outcome = run(host, folder, locked_ops={"op0": "fp32"}, sampler="grid").outcome
    assert outcome.trials == 3
    assert host.calls["evaluate"] == 3


def test_phases_add_up_to_the_trial(folder: Path) -> None:
    run(FakeHost(), folder)
    # The first trial times the reference too.
    for trial in read_trials(folder)[1:]:
        taken = trial.ended_seconds - trial.started_seconds
        assert sum(trial.phase_seconds.values()) == pytest.approx(taken)
        assert trial.phase_seconds["quantize"] == pytest.approx(0.5)
        assert trial.phase_seconds["evaluate"] == pytest.approx(1.0)


def test_what_compiling_takes_is_a_phase_of_its_own(folder: Path) -> None:
    class Compiling(FakeHost):
        def evaluate(self, model: FakeModel) -> Evaluation:
            self.clock.advance(3.0)
            return dataclasses.replace(super().evaluate(model), compile_seconds=3.0)

    run(Compiling(), folder)
    for trial in read_trials(folder)[1:]:
        assert trial.phase_seconds["compile"] == pytest.approx(3.0)
        assert trial.phase_seconds["evaluate"] == pytest.approx(1.0)


def test_a_run_goes_on_where_it_was(folder: Path) -> None:
    first = run(FakeHost(seed=3), folder, max_trials=4).outcome
    host = FakeHost(seed=3)
    again = run(host, folder, max_trials=7, sigopt_experiment_id=first.experiment_id)
    assert again.outcome.experiment_id == first.experiment_id
    assert [t.number for t in read_trials(folder)] == [1, 2, 3, 4, 5, 6, 7]
    # Three trials, and the reference quantized again; the winner too if it is an earlier one.
    assert host.calls["evaluate"] == 3
    assert again.outcome.fp32_latency_seconds == pytest.approx(first.fp32_latency_seconds)


def test_the_whole_front(folder: Path) -> None:
    ended = run(FakeHost(ops=3), folder, max_trials=99, sampler="grid", goal="pareto")
    front = ended.outcome.front
    assert len(front) > 3
    latencies = [t.latency_seconds for t in front]
    accuracies = [t.accuracy for t in front]
    assert latencies == sorted(latencies, key=float)
    assert accuracies == sorted(accuracies, key=float)
    assert {p.suffix for p in (folder / "front").iterdir()} == {".json"}


def test_what_runs_otherwise_than_chosen_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host = FakeHost(ops=2, seed=1)
    monkeypatch.setattr(host.backend, "ran_as", lambda model, ops: {"net/op0": "int8"})
    needed = {"session_options": {"intra_op_num_threads": 1}}
    monkeypatch.setattr(host.backend, "deployment", lambda model: needed)
    with caplog.at_level("INFO", logger="nc_sigopt_strategy"):
        ended = run(host, folder, max_trials=99, sampler="grid")
    for trial in read_trials(folder):
        chosen = trial.assignments[next(name for name in trial.assignments if "op0" in name)]
        expected = {} if chosen == "int8" else {"net/op0": f"{chosen}, runs as int8"}
        assert trial.ran_differently == expected
    best = read_outcome(folder).best
    assert best is not None
    assert ended.outcome.best is not None
    assert best.ran_differently == ended.outcome.best.ran_differently
    assert read_outcome(folder).deployment == needed
    said = [record.message for record in caplog.records]
    assert any("with the session options {'intra_op_num_threads': 1}" in line for line in said)
    assert len([line for line in said if "run otherwise than chosen" in line]) == 1
