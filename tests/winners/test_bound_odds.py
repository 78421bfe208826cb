"""Which models may win, and what the user's own function says of them."""

from __future__ import annotations

from typing import Any

import pytest

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.winners.bound_odds import MOST_DATA, BoundOdds, may_win
from nc_sigopt_strategy.winners.confirmation import Confirmation

BOUND = AccuracyBound.of(0.9, relative=True, tolerable_loss=0.01, higher_is_better=True)


def trial(number: int, **more: Any) -> TrialRecord:
    values = {"meets_bound": True, "accuracy": 0.9, "latency_seconds": 1.0, **more}
    return TrialRecord(number, TrialState.OBSERVED, **values)


TRIALS = [trial(1), trial(2), trial(3, meets_bound=False), trial(4, duplicate_of=2)]


@pytest.mark.parametrize(
    ("probabilities", "confidence", "winners"),
    [
        ({1: 0.9, 2: 0.4, 3: 0.99, 4: 0.99}, 0.5, [1]),
        ({1: 0.9, 2: 0.5}, 0.5, [1, 2]),
        # None is so probable: nobody is sent away at even odds, and above nobody may win.
        ({1: 0.3, 2: 0.4}, 0.5, [2]),
        ({1: 0.3, 2: 0.94}, 0.95, []),
        ({1: 0.3, 2: 0.96}, 0.95, [2]),
        # Nothing is known.
        ({}, 0.5, [1, 2]),
        ({}, 0.95, []),
        ({1: 0.2}, 0.5, [2]),
    ],
)
def test_may_win(probabilities: dict[int, float], confidence: float, winners: list[int]) -> None:
    odds = {number: BoundOdds(p, 0.0, 0.1) for number, p in probabilities.items()}
    assert [t.number for t in may_win(TRIALS, odds, confidence)] == winners


def test_nobody_may_win_without_a_trial_that_met_the_bound() -> None:
    assert may_win([trial(1, meets_bound=False)], {}, 0.5) == []


def test_how_much_data_would_settle_it() -> None:
    assert BoundOdds(0.96, 0.01, 0.01).data_to_settle is None
    assert BoundOdds(0.04, -0.01, 0.01).data_to_settle is None
    # 1.645 errors must be as small as the spare: the error has to be halved, with four times as
    # much data.
    assert BoundOdds(0.8, 0.01, 0.02 / 1.645).data_to_settle == pytest.approx(4.0)
    assert BoundOdds(0.2, -0.01, 0.02 / 1.645).data_to_settle == pytest.approx(4.0)
    assert BoundOdds(0.5, 0.0, 0.01).data_to_settle == MOST_DATA


def test_a_confirmation_counts_from_what_fp32_reaches_there() -> None:
    """FP32 has 0.8 on the other data, so 0.792 is asked for, and not 0.891."""
    asked = Confirmation(lambda model: model, BOUND, lambda model: model / 100, 80)
    assert asked.bound.target == pytest.approx(0.792)
    assert asked.of(79.3).objection == ""
    assert asked.of(79.3).accuracy == pytest.approx(0.793)
    missed = asked.of(79.1)
    assert missed.accuracy == pytest.approx(0.791)
    assert "0.7910, where 0.7920" in missed.objection


def test_what_confirm_func_raises_is_an_objection_and_ctrl_c_is_not() -> None:
    def function(model: Any) -> float:
        if isinstance(model, BaseException):
            raise model
        return 0.9

    asked = Confirmation(function, BOUND, lambda model: model, "fp32")
    assert "ValueError: no such images" in asked.of(ValueError("no such images")).objection
    assert asked.of(KeyboardInterrupt()).objection == ""
    assert asked.of(KeyboardInterrupt()).accuracy is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("high", "'high', which is not a finite number"),
        ([0.9, 0.8], "returned 2 metrics, FP32's 1"),
        (ValueError("no images"), "ValueError: no images"),
    ],
)
def test_a_confirm_func_that_fails_for_fp32_is_refused(answer: Any, said: str) -> None:
    def function(model: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(SettingsError, match="confirm_func") as caught:
        Confirmation(function, BOUND, lambda model: model, "fp32")
    assert said in str(caught.value)
