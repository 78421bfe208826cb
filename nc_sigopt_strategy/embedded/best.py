"""Which observations are best: one, a Pareto set, or all that satisfy the constraints."""

from __future__ import annotations

from collections.abc import Sequence

from nc_sigopt_strategy.embedded.model import Experiment
from nc_sigopt_strategy.embedded.store import Point


def metric_values(point: Point) -> dict[str | None, float]:
    """Metric name to observed value; empty for a failed observation."""
    return {value["name"]: value["value"] for value in (point.observation or {}).get("values", [])}


def best_of(
    experiment: Experiment, observed: Sequence[Point], *, within_thresholds: bool = True
) -> list[Point]:
    """The best observations.

    Args:
        experiment: Its metrics.
        observed: Observed points, failed ones included, in the order they were made.
        within_thresholds: Whether an observation must satisfy all thresholds.

    Returns:
        With one optimized metric at most one (the earliest of equals), with two the Pareto set,
        with none all candidates.
    """
    candidates = []
    for point in observed:
        values = metric_values(point)
        if not values:
            continue
        if within_thresholds and any(excess > 0 for excess in experiment.violations(values)):
            continue
        candidates.append((_costs(experiment, values), point))
    if not experiment.optimized:
        return [point for _, point in candidates]
    if len(experiment.optimized) == 1:
        return [min(candidates, key=lambda candidate: candidate[0])[1]] if candidates else []
    return [
        point
        for costs, point in candidates
        if not any(_dominates(other, costs) for other, _ in candidates)
    ]


def _costs(experiment: Experiment, values: dict[str | None, float]) -> tuple[float, ...]:
    """Optimized values, turned so that less is better."""
    return tuple(
        -values[metric.name] if metric.objective == "maximize" else values[metric.name]
        for metric in experiment.optimized
    )


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
