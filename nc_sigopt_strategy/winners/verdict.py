"""Which of the measured models wins, and what the run as a whole says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nc_sigopt_strategy.measurement.latency import RatioEstimate
from nc_sigopt_strategy.results.outcome import OpCost
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

INT8 = "int8"


def choose(
    finalists: Sequence[TrialRecord],
    ratios: Mapping[int, Mapping[int, RatioEstimate]],
    better: Callable[[float, float], bool],
    default: int | None,
) -> tuple[TrialRecord, tuple[int, ...]]:
    """The winner among finalists that were timed side by side.

    The fastest wins if the others are slower beyond the noise; among those that are not, the most
    accurate. A winner is never slower, beyond the noise, than the default int8 model.

    Args:
        finalists: At least one; all met the bound.
        ratios: ``[a][b]``: latency of trial a over trial b's, by trial number.
        better: Whether one accuracy is better than another.
        default: Number of the default int8 model's trial, if it is a finalist.

    Returns:
        The winner, and the numbers of the other finalists that are tied with the fastest.
    """

    def slowness(trial: TrialRecord) -> float:
        others = [ratios[trial.number][f.number].ratio for f in finalists if f is not trial]
        return float(np.mean(np.log(others))) if others else 0.0

    fastest = min(finalists, key=slowness)
    tied = [t for t in finalists if t is fastest or ratios[t.number][fastest.number].low <= 1.0]
    if default is not None:
        allowed = [t for t in tied if t.number == default or ratios[t.number][default].low <= 1.0]
        tied = allowed or tied
    winner = fastest if fastest in tied else tied[0]
    for trial in tied:
        if better(trial.accuracy or 0.0, winner.accuracy or 0.0):
            winner = trial
    return winner, tuple(t.number for t in tied if t is not winner)


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
