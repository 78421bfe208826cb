"""A model beside FP32, input by input: what the difference of their accuracies is worth.

Both answer the same inputs, so what makes an input hard for both cancels out, and only the inputs
that they answer differently count (McNemar, "Note on the sampling error of the difference between
correlated proportions or percentages", Psychometrika 12, 1947).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.per_input import Scores
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.paired_inputs import PairedInputs

# With fewer inputs no evaluation ends early.
LEAST_INPUTS = 50
# An evaluation ends early where meeting the bound would take so many standard errors of luck: once
# in 30,000 looks, and looks at the same inputs are nearly one and the same.
ERRORS_TO_END = 4.0
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


def cannot_meet(scores: Scores, fp32: Scores, bound: AccuracyBound) -> bool:
    """Whether the first inputs say that a model misses the bound on all of them.

    It is asked about these very inputs, so what is uncertain is only how the rest turns out (the
    finite population's correction; Cochran, "Sampling Techniques", 1977, section 2.6). That takes
    for granted that the first inputs are like the others: that they are in no particular order.

    Args:
        scores: Of the first inputs, shape (n,).
        fp32: Of all inputs, shape (N,).
        bound: Of one metric, which is the mean score.
    """
    seen, every = len(scores), len(fp32)
    if not LEAST_INPUTS <= seen < every:
        return False
    expected = expected_accuracy(scores, fp32)
    stderr = difference_stderr(scores, fp32[:seen]) * math.sqrt(1.0 - seen / every)
    return bound.shortfall(expected) > ERRORS_TO_END * stderr


def expected_accuracy(scores: Scores, fp32: Scores) -> float:
    """The mean score on all inputs, by the first ones: FP32's and the difference from it there.

    Args:
        scores: Of the first inputs, or of all, shape (n,).
        fp32: Of all inputs, shape (N,).
    """
    if len(scores) == len(fp32):
        return float(scores.mean())
    return float(fp32.mean() + (scores - fp32[: len(scores)]).mean())


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
