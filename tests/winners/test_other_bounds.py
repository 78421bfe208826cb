"""What another accuracy bound would have bought, and when that is worth a word."""

from __future__ import annotations

import dataclasses

import pytest

from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import OtherBound, Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.winners.other_bounds import next_worth_having, other_bounds


def trial(number: int, accuracy: float, milliseconds: float) -> TrialRecord:
    return TrialRecord(
        number, TrialState.OBSERVED, accuracy=accuracy, latency_seconds=milliseconds / 1e3
    )


def bound(loss: float = 0.01, *, higher: bool = True, baseline: float = 0.9) -> AccuracyBound:
    return AccuracyBound.of(baseline, relative=True, tolerable_loss=loss, higher_is_better=higher)


OUTCOME = Outcome(
    "sigopt", False, "", fp32_latency_seconds=0.1, baseline_accuracy=0.9, accuracy_target=0.891
)
TRIALS = [trial(1, 0.9, 90), trial(2, 0.895, 50), trial(3, 0.895, 60), trial(4, 0.85, 25)]


def test_the_curve_has_the_fastest_of_each_accuracy() -> None:
    found = other_bounds(OUTCOME, TRIALS, bound())
    assert [one.trial for one in found] == [1, 2, 4]
    assert [one.loss for one in found] == pytest.approx([0.0, 0.005 / 0.9, 0.05 / 0.9])
    assert [one.speedup for one in found] == pytest.approx([100 / 90, 2.0, 4.0])


def test_an_error_rate_loses_upwards() -> None:
    trials = [trial(1, 0.1, 90), trial(2, 0.12, 50)]
    found = other_bounds(OUTCOME, trials, bound(higher=False, baseline=0.1))
    assert [one.loss for one in found] == pytest.approx([0.0, 0.2])


def test_speeds_are_on_the_scale_of_the_last_timing() -> None:
    """A winner of 2.0 times by its trial that has 2.2 times beside FP32."""
    outcome = dataclasses.replace(OUTCOME, best=TRIALS[1], speedup=Interval(2.2, 2.1, 2.3))
    found = {one.trial: one.speedup for one in other_bounds(outcome, TRIALS, bound())}
    assert found[2] == pytest.approx(2.2)
    assert found[4] == pytest.approx(4.4)


@pytest.mark.parametrize(
    ("outcome", "given"),
    [
        (dataclasses.replace(OUTCOME, fp32_latency_seconds=None), bound()),
        (OUTCOME, bound(baseline=0.0)),
        (
            OUTCOME,
            AccuracyBound.of(
                [0.9, 0.8], relative=True, tolerable_loss=0.01, higher_is_better=True
            ),
        ),
    ],
    ids=["FP32 was not timed", "no share of nothing", "several targets"],
)
def test_where_a_loss_cannot_be_told(outcome: Outcome, given: AccuracyBound) -> None:
    assert other_bounds(outcome, TRIALS, given) == ()


def steps(*pairs: tuple[float, float]) -> Outcome:
    others = tuple(OtherBound(loss, 0.0, speed, 1) for loss, speed in pairs)
    return dataclasses.replace(OUTCOME, other_bounds=others)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (steps((0.0, 1.1), (0.015, 2.4), (0.08, 3.0)), (0.02, 2.4)),
        (steps((0.0, 1.1), (0.02, 2.4)), (0.02, 2.4)),
        (steps((0.0, 1.1), (0.08, 3.0)), (0.1, 3.0)),
        (steps((0.0, 1.1), (0.5, 3.0)), None),
        # The same speed stands within the bound: what is better beyond it is its luck.
        (steps((0.005, 2.35), (0.015, 2.4)), None),
        (steps((0.01, 2.35)), None),
        (steps((0.015, 1.04)), None),
        (steps(), None),
    ],
)
def test_only_a_notable_gain_is_worth_a_word(
    outcome: Outcome, said: tuple[float, float] | None
) -> None:
    assert next_worth_having(outcome) == said
