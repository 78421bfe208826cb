"""Which observations are best: one, a Pareto set, or all that satisfy the constraints."""

from __future__ import annotations

import bisect

from nc_sigopt_strategy.engine.history.description import ExperimentDescription
from nc_sigopt_strategy.engine.history.point import Point

Costs = tuple[float, ...]


def metric_values(point: Point) -> dict[str | None, float]:
    """Metric name to observed value; empty for a failed observation."""
    return {value["name"]: value["value"] for value in (point.observation or {}).get("values", [])}


def costs_of(experiment: ExperimentDescription, values: dict[str | None, float]) -> Costs:
    """Optimized values, turned so that less is better."""
    return tuple(
        -values[metric.name] if metric.objective == "maximize" else values[metric.name]
        for metric in experiment.optimized
    )


class BestSoFar:
    """The best observations, kept as observations come in.

    Args:
        experiment: Its metrics.
    """

    def __init__(self, experiment: ExperimentDescription) -> None:
        self._experiment = experiment
        self._regardless = _Front()
        self._within = _Front()
        self._satisfying: list[tuple[int, Point]] = []

    def add(self, point: Point) -> None:
        """Take an observation into account; a failed one changes nothing."""
        values = metric_values(point)
        if not values:
            return
        satisfies = not any(excess > 0 for excess in self._experiment.violations(values))
        if not self._experiment.optimized:
            if satisfies:
                entry = (point.observation_id, point)
                bisect.insort(self._satisfying, entry, key=lambda entry: entry[0])
            return
        costs = costs_of(self._experiment, values)
        self._regardless.add(costs, point)
        if satisfies:
            self._within.add(costs, point)

    def regardless(self) -> list[Point]:
        """The best of all, whatever their thresholds; empty without optimized metrics."""
        return self._first_only(self._regardless)

    def within_thresholds(self) -> list[Point]:
        """The best that satisfy all thresholds, best first.

        With one optimized metric at most one (the latest of equals, as on a SigOpt server), with
        two the Pareto set, with none all that satisfy the thresholds. What is best among several
        goes by the first metric (by name) that is optimized, or without any by the first of all.
        """
        if self._experiment.optimized:
            points = self._first_only(self._within)
        else:
            points = [point for _, point in self._satisfying]
        leading = (self._experiment.optimized or self._experiment.metrics)[0]
        sign = -1 if leading.objective == "maximize" else 1
        points.reverse()  # of equals the latest first
        return sorted(points, key=lambda point: sign * metric_values(point)[leading.name])

    def _first_only(self, front: _Front) -> list[Point]:
        points = front.points()
        return points[:1] if len(self._experiment.optimized) == 1 else points


class _Front:
    """Points that no other one dominates; with one cost, the lowest one."""

    def __init__(self) -> None:
        self._members: list[tuple[Costs, Point]] = []

    def add(self, costs: Costs, point: Point) -> None:
        """Take a point in, unless a member dominates it; drop whom it dominates."""
        if any(_dominates(other, costs) for other, _ in self._members):
            return
        if len(costs) == 1:
            # Only the latest of equals counts, and there may be thousands.
            equals = [other for other_costs, other in self._members if other_costs == costs]
            if equals and equals[0].observation_id > point.observation_id:
                return
            self._members = [(costs, point)]
            return
        self._members = [member for member in self._members if not _dominates(costs, member[0])]
        self._members.append((costs, point))

    def points(self) -> list[Point]:
        """The members in the order of arrival."""
        members = (point for _, point in self._members)
        return sorted(members, key=lambda point: point.observation_id)


def _dominates(one: Costs, other: Costs) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
