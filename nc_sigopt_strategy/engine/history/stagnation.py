"""Whether an experiment has stopped to improve, as a SigOpt server tells it.

With D parameters, the latest 5 D observations, by their arrival, are compared with those before.
One optimized metric: stagnation is possible when none of the latest beats the fifth best of the
earlier ones.
Two: when the budget is used and the latest have added nothing to the Pareto set. Thresholds are
not looked at, and a failed observation is one that has not improved anything.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from nc_sigopt_strategy.engine.history.best import costs_of, metric_values
from nc_sigopt_strategy.engine.history.description import ExperimentDescription
from nc_sigopt_strategy.engine.history.point import Point

LOOKBACK_PER_PARAMETER = 5
TOP = 5


class Costs:
    """What each observation cost in the one optimized metric: as they arrived, and sorted."""

    def __init__(self) -> None:
        self._in_order: list[float] = []
        self._sorted: list[float] = []

    def insert(self, position: int, experiment: ExperimentDescription, point: Point) -> None:
        """Take an observation in.

        Args:
            position: How many observations arrived before it.
            experiment: Its metrics.
            point: The observation.
        """
        values = metric_values(point)
        cost = costs_of(experiment, values)[0] if values else math.inf
        self._in_order.insert(position, cost)
        bisect.insort(self._sorted, cost)

    def remove(self, position: int) -> None:
        """Forget the observation at this place."""
        cost = self._in_order.pop(position)
        del self._sorted[bisect.bisect_left(self._sorted, cost)]

    def is_stagnating(self, lookback: int) -> bool:
        """Whether none of the latest ``lookback`` observations is among the best five."""
        if len(self._in_order) < lookback + TOP:
            return False
        latest = self._in_order[-lookback:]
        best = min(latest)
        # How many of the earlier ones are at least as good as the best of the latest.
        as_good = bisect.bisect_right(self._sorted, best) - latest.count(best)
        return as_good >= TOP


def is_front_stagnating(
    experiment: ExperimentDescription, front: Sequence[Point], earlier: Sequence[bool], count: int
) -> bool:
    """Whether the latest observations have added nothing to a Pareto set.

    Args:
        experiment: Its metrics.
        front: The Pareto set, thresholds disregarded.
        earlier: For each member, whether it is older than the latest observations looked at.
        count: Number of observations.
    """
    lookback = LOOKBACK_PER_PARAMETER * len(experiment.parameters)
    budget = experiment.observation_budget
    if budget is None or count < budget or count < lookback + TOP:
        return False
    values = [costs_of(experiment, metric_values(point)) for point in front]
    return set(values) == {value for value, old in zip(values, earlier, strict=True) if old}
