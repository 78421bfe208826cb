"""Whether the returned model keeps the bound on other data than it was tuned on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.console.cells import probability_text
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.testing.fake_models import FakeModel
from nc_sigopt_strategy.tuning.host import Evaluation
from tests.tuning.test_loop import run

LUCK = 0.004  # of 0.009 that may be lost


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


class OnFewImages(FakeHost):
    """Each model's accuracy has the luck of its images, always the same one."""

    def evaluate(self, model: FakeModel) -> Evaluation:
        found = super().evaluate(model)
        rng = np.random.default_rng([ord(label[0]) for _, label in model.labels])
        return Evaluation(found.accuracy + rng.normal(0.0, LUCK), found.duration_seconds)


def searched(folder: Path, seed: int, confidence: float) -> tuple[float | None, float]:
    """How far the returned model truly is above the bound, and its latency over the optimum's."""
    host = OnFewImages(ops=8, seed=seed, jitter=0.01)
    ended = run(host, folder / str(confidence), max_trials=40, bound_confidence=confidence)
    if ended.model is None:
        return None, np.inf
    spare = -host.bound.shortfall(host.accuracy(ended.model))
    return spare, ended.model.latency_seconds / host.optimum().latency_seconds


def test_more_confidence_keeps_the_bound_and_costs_speed(tmp_path: Path) -> None:
    even = [searched(tmp_path / str(seed), seed, 0.5) for seed in range(3)]
    sure = [searched(tmp_path / str(seed), seed, 0.95) for seed in range(3)]
    assert all(spare is None or spare > -0.1 * LUCK for spare, _ in sure)
    assert all(spare is not None and spare > -LUCK for spare, _ in even)
    assert np.median([slow for _, slow in even]) < np.median([slow for _, slow in sure])


def test_the_outcome_says_how_probable_it_is(folder: Path) -> None:
    outcome = run(OnFewImages(ops=8, seed=1), folder, max_trials=30).outcome
    best = outcome.best_finalist
    assert best is not None
    assert best.bound_probability is not None
    assert 0.5 <= best.bound_probability <= 1
    assert len(outcome.finalists) >= 3
    said = probability_text(best.bound_probability)
    assert f"other data of the kind is {said}" in outcome.verdict
    assert outcome.bound_confidence == 0.5
    assert read_outcome(folder) == outcome


def test_where_nothing_is_probable_enough_there_is_no_model_and_the_verdict_says_why(
    folder: Path,
) -> None:
    # With more trials all ops in fp32 would be tried, which keep any bound.
    ended = run(FakeHost(ops=4, seed=1), folder, max_trials=2, bound_confidence=0.999)
    outcome = ended.outcome
    assert any(trial.meets_bound for trial in read_trials(folder))
    assert ended.model is None
    assert not outcome.found
    assert outcome.most_probable is not None
    assert outcome.verdict.startswith(
        "No model keeps the bound with a probability of 0.999 on other"
    )
    assert f"trial {outcome.most_probable.trial}, does with 0." in outcome.verdict
    assert read_outcome(folder) == outcome


def test_confidence_can_be_changed_when_an_experiment_is_continued(folder: Path) -> None:
    host = OnFewImages(ops=8, seed=2)
    first = run(host, folder, max_trials=12).outcome
    more = run(
        host, folder, max_trials=14, bound_confidence=0.9,
        sigopt_experiment_id=first.experiment_id,
    ).outcome  # fmt: skip
    assert more.trials == 14
    assert more.bound_confidence == 0.9


def test_a_finalist_that_misses_on_other_data_is_passed_over(folder: Path) -> None:
    host = FakeHost(ops=4, seed=1)
    asked: list[FakeModel] = []

    def confirm(model: FakeModel) -> float:
        asked.append(model)
        # On the other data the first finalist that is asked for does badly.
        return 0.5 if len(asked) == 2 else host.accuracy(model)

    ended = run(host, folder, max_trials=20, confirm_func=confirm)
    outcome = ended.outcome
    assert asked[0] == host.fp32
    assert ended.model == asked[2] != asked[1]
    assert len(asked) == 3
    first = next(one for one in outcome.finalists if one.passed_over)
    assert first.confirmed_accuracy == 0.5
    assert f"Trial {first.trial} is passed over: confirm_func found 0.5000" in outcome.verdict
    best = outcome.best_finalist
    assert best is not None
    assert best.confirmed_accuracy == pytest.approx(host.accuracy(ended.model))


def test_where_none_is_confirmed_all_that_may_win_are_asked_for(folder: Path) -> None:
    host = FakeHost(ops=3, seed=1)
    ended = run(
        host, folder, max_trials=99, sampler="grid",
        confirm_func=lambda model: 0.9 if model == host.fp32 else 0.1,
    )  # fmt: skip
    # FP32 itself was tried too, and is confirmed.
    assert ended.model == host.fp32
    met = {t.number for t in read_trials(folder) if t.meets_bound and t.duplicate_of is None}
    passed_over = {one.trial for one in ended.outcome.finalists if one.passed_over}
    assert passed_over < met
    assert len(passed_over) > 3


def test_without_time_no_further_finalists_are_asked_for(folder: Path) -> None:
    host = FakeHost(ops=4, seed=1)

    def confirm(model: FakeModel) -> float:
        host.clock.advance(100.0)
        return 0.9 if model == host.fp32 else 0.1

    ended = run(host, folder, max_trials=50, timeout=1000, confirm_func=confirm)
    assert ended.model is None
    assert ended.outcome.verdict.startswith("No model that met the bound was confirmed.")
    met = [t for t in read_trials(folder) if t.meets_bound and t.duplicate_of is None]
    assert len(ended.outcome.finalists) < len(met)
    assert host.clock() < 1000 + 3 * 100


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"bound_confidence": 0}, "above 0 and below 1"),
        ({"bound_confidence": 1.0}, "above 0 and below 1"),
        ({"bound_confidence": True}, "above 0 and below 1"),
        ({"bound_confidence": "0.9"}, "above 0 and below 1"),
        ({"confirm_func": 3}, "a function"),
        ({"bound_confidence": 0.9, "goal": "pareto"}, "bound_confidence does not go with goal"),
        ({"confirm_func": len, "goal": "pareto"}, "confirm_func does not go with goal"),
    ],
)
def test_settings_that_cannot_be_used(kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.from_kwargs(kwargs)


def test_a_confidence_that_nobody_can_answer_is_refused(folder: Path) -> None:
    outcome = run(FakeHost(tolerable_loss=0.0), folder, bound_confidence=0.9).outcome
    assert outcome.error is not None
    assert "bound_confidence=0.9 cannot be answered: the bound allows no loss" in outcome.error
    assert outcome.trials == 0
