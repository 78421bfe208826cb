"""Which of the measured models wins, and what the run as a whole says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nc_sigopt_strategy.measurement.comparison import Comparison
from nc_sigopt_strategy.measurement.latency import RatioEstimate
from nc_sigopt_strategy.results.outcome import OpCost
from nc_sigopt_strategy.results.trial_history import measured_latency
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

INT8 = "int8"


# A model counts as no slower than the default int8 model if it is shown to be slower by no more
# than this: nobody would notice, and two equal models could never be told apart otherwise.
UNNOTICED = 0.01
# What of its speed a tie may cost for the sake of accuracy, by the estimate. Wide intervals tie
# everything with everything.
PRICE_OF_ACCURACY = 0.03

Ratios = Mapping[int, Mapping[int, RatioEstimate]]


def choose(
    finalists: Sequence[TrialRecord],
    ratios: Ratios,
    better: Callable[[float, float], bool],
    default: int | None,
) -> tuple[TrialRecord, tuple[int, ...]]:
    """The winner among finalists that were timed side by side.

    The default int8 model wins unless another is shown to be no slower than it: on a busy machine
    a doubt is not decided against what everybody can have without a search. Of those that may
    win, the fastest does, or the most accurate of those that cannot be told from it.

    Args:
        finalists: At least one; all met the bound.
        ratios: ``[a][b]``: latency of trial a over trial b's, by trial number.
        better: Whether one accuracy is better than another.
        default: Number of the default int8 model's trial, if it is a finalist.

    Returns:
        The winner, and the numbers of the other finalists that are tied with the fastest.
    """
    fastest = _fastest(finalists, ratios)
    tied = [t for t in finalists if t is fastest or ratios[t.number][fastest.number].low <= 1.0]
    allowed = list(finalists)
    if default is not None:
        tied = [t for t in tied if t.number == default or ratios[t.number][default].low <= 1.0]
        allowed = [t for t in finalists if t.number == default or _no_slower(t, default, ratios)]
    winner = fastest = _fastest(allowed, ratios)
    for trial in allowed:
        if trial is fastest:
            continue
        estimate = ratios[trial.number][fastest.number]
        cheap = estimate.low <= 1.0 and estimate.ratio <= 1.0 + PRICE_OF_ACCURACY
        if cheap and better(trial.accuracy or 0.0, winner.accuracy or 0.0):
            winner = trial
    return winner, tuple(t.number for t in tied if t is not winner)


def is_decided(
    finalists: Sequence[TrialRecord], comparison: Comparison, default: int | None
) -> bool:
    """Whether more rounds would hardly change what ``choose`` says, or what is said of it.

    Args:
        finalists: See ``choose``.
        comparison: Of the finalists.
        default: See ``choose``.
    """
    ratios, reference = comparison.ratios, default
    fastest = _fastest(finalists, ratios)
    if reference is None:
        reference = fastest.number
    doubts = [ratios[t.number][reference] for t in finalists if t.number != reference]
    doubts.append(comparison.speedups[fastest.number])
    return all(_is_clear(estimate) for estimate in doubts)


def ratios_of_trials(finalists: Sequence[TrialRecord]) -> dict[int, dict[int, RatioEstimate]]:
    """What the trials themselves say, where finalists could not be timed side by side.

    Each was timed against the same reference, at another time than the others.
    """
    ratios: dict[int, dict[int, RatioEstimate]] = {trial.number: {} for trial in finalists}
    for a, b in itertools.permutations(finalists, 2):
        ratio = measured_latency(a) / measured_latency(b)
        error = math.hypot(_relative_error(a), _relative_error(b))
        wide = math.exp(1.96 * error)
        ratios[a.number][b.number] = RatioEstimate(
            ratio, ratio * error, ratio / wide, ratio * wide
        )
    return ratios


def _relative_error(trial: TrialRecord) -> float:
    return (trial.latency_stddev or 0.0) / measured_latency(trial)


def _is_clear(estimate: RatioEstimate) -> bool:
    told_apart = estimate.low > 1.0 or estimate.high < 1.0
    return told_apart or estimate.high - estimate.low <= 2 * UNNOTICED


def _no_slower(trial: TrialRecord, default: int, ratios: Ratios) -> bool:
    return ratios[trial.number][default].high <= 1.0 + UNNOTICED


def _fastest(finalists: Sequence[TrialRecord], ratios: Ratios) -> TrialRecord:
    def slowness(trial: TrialRecord) -> float:
        others = [ratios[trial.number][f.number].ratio for f in finalists if f is not trial]
        return float(np.mean(np.log(others))) if others else 0.0

    return min(finalists, key=slowness)


def costliest_ops(
    trials: Sequence[TrialRecord], maximize: bool, op_names: Mapping[str, str], count: int = 5
) -> tuple[OpCost, ...]:
    """The parameters whose int8 value goes with the worst accuracy, over all observed trials.

    A plain difference of means: it names suspects, it does not prove them.

    Args:
        trials: All trials.
        maximize: Direction of the accuracy metric.
        op_names: Parameter name to full op name.
        count: How many to return at most.
    """
    observed = [t for t in trials if t.state is TrialState.OBSERVED and t.accuracy is not None]
    costs = []
    for parameter, op in op_names.items():
        inside = [t.accuracy for t in observed if _is_int8(t, parameter)]
        outside = [t.accuracy for t in observed if not _is_int8(t, parameter)]
        if inside and outside:
            gain = float(np.mean(np.array(outside, float)) - np.mean(np.array(inside, float)))
            costs.append(OpCost(op, gain if maximize else -gain, len(outside)))
    costs.sort(key=lambda cost: -cost.accuracy_cost)
    return tuple(cost for cost in costs[:count] if cost.accuracy_cost > 0)


def _is_int8(trial: TrialRecord, parameter: str) -> bool:
    return trial.assignments.get(parameter, "").startswith(INT8)
