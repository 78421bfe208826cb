"""A model beside FP32, input by input: what the difference of their accuracies is worth.

Both answer the same inputs, so what makes an input hard for both cancels out, and only the inputs
that they answer differently count (McNemar, "Note on the sampling error of the difference between
correlated proportions or percentages", Psychometrika 12, 1947).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nc_sigopt_strategy.errors import TrialError
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.per_input import Scores
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.paired_inputs import PairedInputs
from nc_sigopt_strategy.results.trial_record import TrialRecord

# With fewer inputs no evaluation ends early.
LEAST_INPUTS = 50
# An evaluation ends early where meeting the bound would take so many standard errors of luck: once
# in 30,000 looks, and looks at the same inputs are nearly one and the same.
ERRORS_TO_END = 4.0
# Standard errors to either side that hold 95 % of a normal distribution.
NORMAL_95 = 1.96
# Below which 95 % of it lie.
ONE_SIDED_95 = 1.645
_HALVINGS = 60


def paired_inputs(model: Scores, fp32: Scores) -> PairedInputs:
    """Count on how many inputs a model differs from FP32.

    Args:
        model: Scores of the first inputs, or of all, shape (n,).
        fp32: Of all inputs, shape (N,), N at least n.
    """
    difference = model - fp32[: len(model)]
    return PairedInputs(
        inputs=len(model),
        of=len(fp32),
        higher=int((difference > 0).sum()),
        lower=int((difference < 0).sum()),
    )


def difference_stderr(model: Scores, fp32: Scores) -> float:
    """Standard error of the difference of two mean scores of the same inputs, above 0.

    One more input that differs is taken to be there, by as much as scores differ at most: where
    none of n does, some of the next n may (Laplace's rule of succession).

    Args:
        model: Shape (n,).
        fp32: Shape (n,).
    """
    difference = model - fp32
    span = max(float(np.ptp(np.concatenate([model, fp32]))), 1e-12)
    count = len(difference)
    squares = float(((difference - difference.mean()) ** 2).sum()) + span**2
    return math.sqrt(squares) / count


def inputs_to_be_sure(found: PairedInputs, allowed: float) -> int | None:
    """How many inputs it takes to be sure, to 95 %, of a model that loses nothing.

    Of one that differs from FP32 on as large a share of inputs as this one does, for the better as
    often as for the worse, with scores of 0 and 1: then the difference of the accuracies has the
    standard error sqrt(share / inputs), and the bound is 1.645 of these away.

    Args:
        found: Of a model that was evaluated.
        allowed: Loss that the bound allows, in units of accuracy.

    Returns:
        ``None`` where the bound allows no loss: no number is enough.
    """
    if allowed <= 0.0:
        return None
    share = max(found.higher + found.lower, 1) / found.inputs
    return math.ceil(share * (ONE_SIDED_95 / allowed) ** 2)


@dataclass(frozen=True)
class BesideFp32:
    """Ends the evaluation of a model that cannot meet the bound any more; see ``Rule``.

    It is asked about these very inputs, so what is uncertain is only how the rest turns out (the
    finite population's correction; Cochran, "Sampling Techniques", 1977, section 2.6). That takes
    for granted that the first inputs are like the others: that they are in no particular order.

    Attributes:
        fp32: FP32's scores of all inputs, shape (N,).
        bound: Of one metric, which is the mean score.
    """

    fp32: Scores
    bound: AccuracyBound

    def is_enough(self, scores: Scores) -> bool:
        """Whether the first inputs, shape (n,), say that the model misses the bound on all."""
        seen, every = len(scores), len(self.fp32)
        if not LEAST_INPUTS <= seen < every:
            return False
        stderr = difference_stderr(scores, self.fp32[:seen]) * math.sqrt(1.0 - seen / every)
        return self.bound.shortfall(self.expected_accuracy(scores)) > ERRORS_TO_END * stderr

    def expected_accuracy(self, scores: Scores) -> float:
        """FP32's accuracy, and the difference from it on the first inputs, shape (n,)."""
        if len(scores) == len(self.fp32):
            return float(scores.mean())
        return float(self.fp32.mean() + (scores - self.fp32[: len(scores)]).mean())

    def counts(self, scores: Scores) -> PairedInputs:
        """How a model's scores, shape (n,), differ from FP32's.

        Raises:
            TrialError: There are more of them than FP32's.
        """
        if len(scores) > len(self.fp32):
            raise TrialError(
                f"The evaluation gave scores of {len(scores)} inputs, and of FP32 "
                f"{len(self.fp32)}.",
                "It must evaluate the same inputs, in the same order, for every model.",
            )
        return paired_inputs(scores, self.fp32)

    def stderr(self, scores: Scores) -> float:
        """Standard error of the accuracy's difference from FP32's; scores of shape (n,)."""
        return difference_stderr(scores, self.fp32[: len(scores)])


def difference_from_fp32(trial: TrialRecord, baseline: float) -> Interval | None:
    """A trial's accuracy less FP32's, with its 95 % interval.

    Args:
        trial: Whichever.
        baseline: FP32's accuracy.

    Returns:
        ``None`` where single inputs are not known. Exact where scores are 0 and 1, which they are
        where counting inputs gives the difference; else by the normal distribution.
    """
    if trial.paired is None or trial.accuracy is None or trial.accuracy_stddev is None:
        return None
    exact = exact_difference(trial.paired)
    value = trial.accuracy - baseline
    if abs(exact.value - value) < 1e-9:
        return exact
    error = NORMAL_95 * trial.accuracy_stddev
    return Interval(value, value - error, value + error)


def exact_difference(found: PairedInputs, confidence: float = 0.95) -> Interval:
    """The difference of two accuracies, model's less FP32's, with an interval that is never too
    short, however few inputs differ. For scores of 0 and 1.

    The shares of inputs on which the model is better and worse have the exact intervals of Clopper
    and Pearson ("The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26, 1934), each with half of what may go wrong (Bonferroni).

    Args:
        found: The counts.
        confidence: Of the interval, above 0 and below 1.
    """
    tail = (1.0 - confidence) / 4
    better = _clopper_pearson(found.higher, found.inputs, tail)
    worse = _clopper_pearson(found.lower, found.inputs, tail)
    value = (found.higher - found.lower) / found.inputs
    return Interval(value, better[0] - worse[1], better[1] - worse[0])


def _clopper_pearson(successes: int, trials: int, tail: float) -> tuple[float, float]:
    """The interval of a share; what may go wrong on either side is ``tail``."""
    low, high = 0.0, 1.0
    if successes > 0:
        low = _solved(lambda share: _at_least(successes, trials, share), tail)
    if successes < trials:
        high = _solved(lambda share: _at_least(successes + 1, trials, share), 1.0 - tail)
    return low, high


def _solved(rising: Callable[[float], float], value: float) -> float:
    """Where a function that rises on 0 to 1 reaches a value, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2


def _at_least(successes: int, trials: int, share: float) -> float:
    """The probability of so many successes or more."""
    if not 0.0 < share < 1.0:
        return float(share >= 1.0 or successes == 0)
    count = np.arange(successes, trials + 1)
    log = _log_factorial(trials)[-1] - _log_factorial(trials)[count]
    log = log - _log_factorial(trials)[trials - count]
    log = log + count * math.log(share) + (trials - count) * math.log1p(-share)
    return float(np.exp(log).sum())


@functools.lru_cache(maxsize=4)
def _log_factorial(most: int) -> Scores:
    """Logarithms of 0! to ``most``!."""
    logs: Scores = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, most + 1)))])
    return logs
