"""A run whose evaluation speaks of single inputs: what is kept of them, and what they decide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.measurement.per_input import PerInput, heard
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.sampling.quantization import damage
from nc_sigopt_strategy.sampling.quantization.accuracy_model import AccuracyModel
from nc_sigopt_strategy.sampling.quantization.turned_inputs import PairedErrors
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.testing.fake_models import FakeModel
from nc_sigopt_strategy.tuning.host import Baseline, Evaluation
from tests.tuning.test_loop import run

INPUTS, BATCH = 1000, 20
SECONDS_PER_BATCH = 1.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


class OnInputs(FakeHost):
    """Answers single inputs: each has a margin, and a noise that is larger makes it wrong.

    Attributes:
        inputs: How many are there.
    """

    def __init__(self, *, whole: bool = False, inputs: int = INPUTS, **more: Any) -> None:
        super().__init__(**more)
        rng = np.random.default_rng(7)
        self.inputs = inputs
        self._margins = rng.exponential(5.0, inputs)
        self._fp32_right = rng.random(inputs) < 0.9
        self._whole = whole
        self._evaluation = heard(self._scores)

    def baseline(self) -> Baseline:
        answer = self._evaluation(self.fp32)
        bound = super().bound
        bound = type(bound).of(
            answer,
            relative=True,
            tolerable_loss=bound.tolerable_loss,
            higher_is_better=True,
        )
        return Baseline(bound, 1.0, answer)

    def evaluate(self, model: FakeModel) -> Evaluation:
        begun = self.clock()
        answer = self._evaluation(model)
        return Evaluation(answer, self.clock() - begun)

    def answers(self, model: FakeModel) -> Any:
        return self._fp32_right & (self._margins > model.noise)

    def _scores(self, model: FakeModel) -> Any:
        right = self.answers(model)
        return PerInput(right) if self._whole else self._yielded(right)

    def _yielded(self, right: Any) -> Iterator[Any]:
        for start in range(0, self.inputs, BATCH):
            self.clock.advance(SECONDS_PER_BATCH)
            yield right[start : start + BATCH]


def measured(folder: Path) -> list[TrialRecord]:
    return [t for t in read_trials(folder) if t.state is TrialState.OBSERVED]


def test_what_cannot_meet_the_bound_is_not_evaluated_to_the_end(folder: Path) -> None:
    host = OnInputs(ops=8, seed=3)
    ended = run(host, folder, max_trials=30)
    trials = [t for t in measured(folder) if t.duplicate_of is None]
    early = [t for t in trials if t.paired is not None and t.paired.ended_early]
    assert early
    for trial in early:
        assert trial.paired is not None
        assert not trial.meets_bound
        assert f"by {trial.paired.inputs} of {INPUTS} inputs" in trial.in_words()
        assert trial.phase_seconds["evaluate"] == pytest.approx(
            SECONDS_PER_BATCH * trial.paired.inputs / BATCH
        )
    whole = [t for t in trials if t not in early]
    assert all(t.paired is not None and t.paired.inputs == INPUTS for t in whole)
    assert ended.outcome.best is not None
    assert ended.outcome.best.paired is not None
    assert not ended.outcome.best.paired.ended_early


def test_a_winner_is_judged_on_its_inputs(folder: Path) -> None:
    host = OnInputs(ops=8, seed=3)
    ended = run(host, folder, max_trials=30)
    outcome = ended.outcome
    best = outcome.best_finalist
    assert best is not None
    assert best.inputs == INPUTS
    assert best.difference is not None
    lost = host.answers(ended.model).mean() - host.answers(host.fp32).mean()
    assert best.difference.value == pytest.approx(lost)
    assert best.difference.low < best.difference.value < best.difference.high
    assert f"on {INPUTS} inputs" in outcome.verdict
    assert read_outcome(folder) == outcome


def test_the_sampler_is_told_on_how_many_inputs_models_differ(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[PairedErrors] = []

    class Listening(AccuracyModel):
        def __init__(self, *given: Any) -> None:
            told.append(given[4])
            super().__init__(*given)

    monkeypatch.setattr(damage, "AccuracyModel", Listening)
    run(OnInputs(ops=6, seed=3), folder, max_trials=8)
    counts = [t.paired.turned for t in measured(folder) if t.paired is not None]
    assert len(told[-1].turned) >= 3
    assert set(told[-1].turned.tolist()) <= set(counts)


def test_a_continued_run_knows_the_inputs_of_trials_before(folder: Path) -> None:
    host = OnInputs(ops=6, seed=3)
    first = run(host, folder, max_trials=8).outcome
    before = measured(folder)
    run(host, folder, max_trials=9, sigopt_experiment_id=first.experiment_id)
    after = measured(folder)[: len(before)]
    for old, new in zip(before, after, strict=True):
        assert new.paired == old.paired
        assert new.accuracy_stddev == pytest.approx(old.accuracy_stddev)


def test_scores_that_come_all_at_once_say_as_much_and_save_nothing(folder: Path) -> None:
    run(OnInputs(ops=6, seed=3, whole=True), folder, max_trials=12)
    trials = [t for t in measured(folder) if t.duplicate_of is None]
    assert all(t.paired is not None and t.paired.inputs == INPUTS for t in trials)


def test_a_search_for_a_front_evaluates_all(folder: Path) -> None:
    run(OnInputs(ops=6, seed=3), folder, max_trials=12, goal="pareto")
    assert all(t.paired is not None and not t.paired.ended_early for t in measured(folder))


def test_few_inputs_make_more_confidence_dearer(tmp_path: Path) -> None:
    """With 200 inputs nobody can be as sure as with 20,000; the same model answers both."""
    latency = {}
    for inputs in (200, 20_000):
        host = OnInputs(ops=6, seed=3, inputs=inputs, whole=True)
        ended = run(host, tmp_path / str(inputs), max_trials=30, bound_confidence=0.95)
        assert ended.model is not None
        latency[inputs] = ended.model.latency_seconds
    assert latency[20_000] < latency[200]


def test_other_inputs_than_fp32s_fail_the_trial(folder: Path) -> None:
    host = OnInputs(ops=4, seed=3, whole=True)
    before = host.answers

    def longer(model: FakeModel) -> Any:
        found = before(model)
        return found if model == host.fp32 else np.r_[found, True]

    host.answers = longer  # type: ignore[method-assign]
    outcome = run(host, folder, max_trials=5).outcome
    failed = [t for t in read_trials(folder) if t.state is TrialState.FAILED]
    assert failed
    assert f"scores of {INPUTS + 1} inputs, and of FP32 {INPUTS}" in (failed[0].failure or "")
    assert outcome.trials
