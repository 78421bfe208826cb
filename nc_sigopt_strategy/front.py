"""The models that no other beats in accuracy and latency at once, and the one to be returned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .outcome import TrialRecord, TrialState


def pareto_front(trials: Iterable[TrialRecord], *, maximize: bool) -> tuple[TrialRecord, ...]:
    """The trials that no other dominates, fastest first.

    Args:
        trials: All trials; failed ones and repeats of the same graph are left out.
        maximize: Direction of the accuracy metric.

    Returns:
        Latency and accuracy both rise strictly along it; of equal trials the earliest is on it.
    """
    sign = -1.0 if maximize else 1.0
    measured = [
        (trial.latency_seconds, sign * trial.accuracy, trial.number, trial)
        for trial in trials
        if trial.state is TrialState.OBSERVED
        and trial.duplicate_of is None
        and trial.latency_seconds is not None
        and trial.accuracy is not None
    ]
    front: list[TrialRecord] = []
    least_cost = float("inf")
    for _, cost, _, trial in sorted(measured, key=lambda entry: entry[:3]):
        if cost < least_cost:
            front.append(trial)
            least_cost = cost
    return tuple(front)


def by_preference(front: Sequence[TrialRecord]) -> list[TrialRecord]:
    """A front in the order in which its models are returned by ``fit``.

    First those that meet the accuracy criterion, the fastest first; then the others, the most
    accurate first.
    """
    met = [trial for trial in front if trial.meets_bound]
    return met + [trial for trial in reversed(front) if not trial.meets_bound]
