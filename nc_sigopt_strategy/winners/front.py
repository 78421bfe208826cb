"""The models that no other beats in accuracy and latency at once, and the one to be returned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState


def pareto_front(trials: Iterable[TrialRecord], *, maximize: bool) -> tuple[TrialRecord, ...]:
    """The trials that no other dominates, fastest first.

    Args:
        trials: All trials; failed ones and repeats of the same graph are left out.
        maximize: Direction of the accuracy metric.

    Returns:
        Latency and accuracy both rise strictly along it; of equal trials the earliest is on it.
    """
    measured = [
        (trial.latency_seconds, trial.accuracy, trial)
        for trial in sorted(trials, key=lambda trial: trial.number)
        if trial.state is TrialState.OBSERVED
        and trial.duplicate_of is None
        and trial.latency_seconds is not None
        and trial.accuracy is not None
    ]
    points = [(latency, accuracy) for latency, accuracy, _ in measured]
    return tuple(measured[place][2] for place in non_dominated(points, maximize=maximize))


def non_dominated(points: Sequence[tuple[float, float]], *, maximize: bool) -> list[int]:
    """Places of the points that no other beats in latency without being worse in accuracy.

    Args:
        points: Latency and accuracy of each.
        maximize: Direction of the accuracy.

    Returns:
        Places in ``points``, by rising latency; of equal points the first.
    """
    sign = -1.0 if maximize else 1.0
    order = sorted(
        range(len(points)), key=lambda place: (points[place][0], sign * points[place][1])
    )
    kept: list[int] = []
    for place in order:
        if not kept or sign * points[place][1] < sign * points[kept[-1]][1]:
            kept.append(place)
    return kept


def by_preference(front: Sequence[TrialRecord]) -> list[TrialRecord]:
    """A front in the order in which its models are returned by ``fit``.

    First those that meet the accuracy criterion, the fastest first; then the others, the most
    accurate first.
    """
    met = [trial for trial in front if trial.meets_bound]
    return met + [trial for trial in reversed(front) if not trial.meets_bound]
