"""Evaluations that speak of single inputs: what is heard, and when they end early."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.errors import TrialError
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.paired import (
    BesideFp32,
    difference_from_fp32,
    difference_stderr,
    exact_difference,
    inputs_to_be_sure,
)
from nc_sigopt_strategy.measurement.per_input import PerInput, heard, listening
from nc_sigopt_strategy.results.paired_inputs import PairedInputs
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState


def bound_of(baseline: float, loss: float = 0.01) -> AccuracyBound:
    return AccuracyBound.of(baseline, relative=True, tolerable_loss=loss, higher_is_better=True)


def batches(scores: Any, size: int = 20) -> Iterator[Any]:
    for start in range(0, len(scores), size):
        yield scores[start : start + size]


class Watched:
    """An evaluation that yields, and says how far it was asked to go."""

    def __init__(self, scores: Any) -> None:
        self.scores, self.yielded, self.closed = scores, 0, False

    def __call__(self, model: Any) -> Iterator[Any]:
        try:
            for batch in batches(self.scores):
                self.yielded += len(batch)
                yield batch
        finally:
            self.closed = True


def test_a_per_input_is_the_mean_and_survives_copies() -> None:
    found = PerInput([[True, False], [True, True]])
    assert found == 0.75
    assert found.scores.tolist() == [1.0, 0.0, 1.0, 1.0]
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert other == 0.75
        assert other.scores.tolist() == found.scores.tolist()
    partial = copy.copy(PerInput([1.0, 0.0], 0.9))
    assert partial == 0.9
    assert repr(partial) == "PerInput(0.9, of 2 inputs)"


@pytest.mark.parametrize("scores", [[], "right", [np.nan], [None], [[1, 2], [3]]])
def test_what_cannot_be_scores_is_refused(scores: Any) -> None:
    with pytest.raises(TrialError, match="scores"):
        PerInput(scores)


def test_a_generator_is_an_evaluation_and_its_inputs_are_known() -> None:
    found = heard(lambda model: batches(np.arange(50) % 2))(None)
    assert isinstance(found, PerInput)
    assert found == 0.5
    assert len(found.scores) == 50


def test_what_is_no_generator_stays_as_it_is() -> None:
    function = heard(lambda model: [0.5, 0.7])
    assert function(None) == [0.5, 0.7]
    assert heard(function) is function
    assert heard(3) == 3


def test_yielded_words_are_refused() -> None:
    with pytest.raises(TrialError, match="scores of inputs"):
        heard(lambda model: iter(["right", "wrong"]))(None)


def test_a_hopeless_evaluation_ends_and_a_good_one_does_not() -> None:
    rng = np.random.default_rng(0)
    fp32 = (rng.random(2000) < 0.9).astype(float)
    bad = np.where(rng.random(2000) < 0.2, 0.0, fp32)
    good = np.where(rng.random(2000) < 0.002, 0.0, fp32)
    rule = BesideFp32(fp32, bound_of(float(fp32.mean())))
    for scores, ends in ((bad, True), (good, False), (fp32, False)):
        evaluation = Watched(scores)
        with listening(rule):
            found = heard(evaluation)(None)
        assert evaluation.closed
        assert (evaluation.yielded < 2000) == ends
        assert rule.bound.met(float(found)) is not ends
    assert len(found.scores) == 2000


def test_outside_of_listening_every_evaluation_goes_to_its_end() -> None:
    evaluation = Watched(np.zeros(500))
    heard(evaluation)(None)
    assert evaluation.yielded == 500


def test_the_accuracy_of_an_evaluation_that_ended_is_what_is_expected_of_all() -> None:
    """The first inputs are easy: a share of them would flatter the model."""
    fp32 = np.r_[np.ones(200), np.zeros(200)]
    rule = BesideFp32(fp32, bound_of(0.5))
    scores = np.ones(100)
    scores[:30] = 0.0
    assert rule.is_enough(scores)
    assert rule.expected_accuracy(scores) == pytest.approx(0.5 - 0.3)
    assert rule.counts(scores) == PairedInputs(100, 400, 0, 30)
    assert rule.counts(scores).ended_early


def test_no_model_that_meets_the_bound_is_given_up() -> None:
    """Models just within the bound, their losses anywhere: 400 of them, each batch a look."""
    rng = np.random.default_rng(1)
    fp32 = (rng.random(400) < 0.93).astype(float)
    rule = BesideFp32(fp32, bound_of(float(fp32.mean())))
    allowed = int(0.01 * fp32.sum())
    for _ in range(400):
        scores = fp32.copy()
        scores[rng.choice(np.flatnonzero(fp32 == 1), allowed + 8, replace=False)] = 0.0
        scores[rng.choice(np.flatnonzero(fp32 == 0), 8, replace=False)] = 1.0
        assert rule.bound.met(float(scores.mean()))
        assert not any(rule.is_enough(scores[:end]) for end in range(20, 400, 20))


def test_a_metric_that_is_to_be_small_ends_early_too() -> None:
    fp32 = np.full(400, 0.1)
    bound = AccuracyBound.of(0.1, relative=True, tolerable_loss=0.1, higher_is_better=False)
    rule = BesideFp32(fp32, bound)
    assert rule.is_enough(np.linspace(0.2, 0.4, 100))
    assert not rule.is_enough(np.linspace(0.05, 0.1, 100))


def test_more_inputs_than_fp32_are_refused() -> None:
    rule = BesideFp32(np.ones(10), bound_of(1.0))
    with pytest.raises(TrialError, match="scores of 11 inputs, and of FP32 10"):
        rule.counts(np.ones(11))


def test_where_nothing_differs_something_still_may() -> None:
    fp32 = np.r_[np.ones(90), np.zeros(10)]
    assert difference_stderr(fp32, fp32) == pytest.approx(0.01)


def test_the_standard_error_is_that_of_the_difference() -> None:
    """Draws of 500 inputs from a population with known shares of better and worse ones."""
    rng = np.random.default_rng(2)
    found, said = [], []
    for _ in range(300):
        fp32 = (rng.random(500) < 0.8).astype(float)
        model = np.where(rng.random(500) < 0.06, 1.0 - fp32, fp32)
        found.append((model - fp32).mean())
        said.append(difference_stderr(model, fp32))
    assert np.mean(said) == pytest.approx(np.std(found), rel=0.12)


def test_exact_intervals_hold() -> None:
    """Of 400 draws at most 5 % may miss the truth; and none is wider than it has to be by much."""
    rng = np.random.default_rng(3)
    missed, widths = 0, []
    for _ in range(400):
        worse, better = rng.multinomial(200, [0.04, 0.01, 0.95])[:2]
        interval = exact_difference(PairedInputs(200, 200, int(better), int(worse)))
        missed += not interval.low <= -0.03 <= interval.high
        widths.append(interval.high - interval.low)
    assert missed <= 20
    # The normal interval is 0.062 wide.
    assert np.mean(widths) < 0.11


def test_an_exact_interval_against_known_ones() -> None:
    """No better ones and no worse ones of 20: each share is at most 1 - 0.0125 ** (1 / 20)."""
    none = exact_difference(PairedInputs(20, 20, 0, 0))
    most = 1 - 0.0125 ** (1 / 20)
    assert (none.value, none.low, none.high) == pytest.approx((0.0, -most, most))
    every = exact_difference(PairedInputs(20, 20, 0, 20))
    assert (every.value, every.low) == pytest.approx((-1.0, -1.0))


def test_scores_that_are_no_shares_have_a_normal_interval() -> None:
    trial = TrialRecord(
        1,
        TrialState.OBSERVED,
        accuracy=0.7,
        accuracy_stddev=0.01,
        paired=PairedInputs(100, 100, 30, 60),
    )
    interval = difference_from_fp32(trial, 0.75)
    assert interval is not None
    assert (interval.value, interval.low) == pytest.approx((-0.05, -0.0696))
    counted = difference_from_fp32(trial, 1.0)
    assert counted == exact_difference(PairedInputs(100, 100, 30, 60))


def test_how_many_inputs_it_takes_to_be_sure() -> None:
    """Draws of as many: about 95 % of models that lose nothing keep the bound by their scores."""
    count = inputs_to_be_sure(PairedInputs(400, 400, 6, 10), 0.0093)
    assert count == 1252
    rng = np.random.default_rng(4)
    better, worse, _ = rng.multinomial(count, [0.02, 0.02, 0.96], 4000).T
    assert np.mean((better - worse) / count >= -0.0093) == pytest.approx(0.95, abs=0.015)
    assert inputs_to_be_sure(PairedInputs(100, 100, 0, 0), 0.1) == 3
    assert inputs_to_be_sure(PairedInputs(100, 100, 3, 5), 0.0) is None
