"""The orders in which a list of observations can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request
from nc_sigopt_strategy.engine.history.description import ExperimentDescription
from nc_sigopt_strategy.engine.history.point import Point, made_at

# Sorts by what is there, then by what is looked for, then by id: any two points compare.
Order = Callable[[Point], tuple[Any, ...]]


def observation_order(experiment: ExperimentDescription, sort: Any) -> Order | None:
    """The key to sort observations by, ascending; ``None`` for the order of ids.

    Args:
        experiment: Its metrics and parameters.
        sort: ``id``, ``timestamp``, ``value``, ``value-METRIC``, ``value_stddev``,
            ``value_stddev-METRIC`` or ``parameter-NAME``; without a metric it is the first
            optimized one. What has no such value comes first.

    Raises:
        ApiError: 400, there is no such order.
    """
    if sort is None or sort == "id":
        return None
    text = validation.text(sort, "sort")
    if text == "timestamp":
        return made_at
    kind, _, name = text.partition("-")
    if kind in ("value", "value_stddev"):
        return _by_metric(experiment, kind, name)
    if kind == "parameter" and any(name == found.name for found in experiment.parameters):
        return _by_parameter(name)
    raise bad_request(
        f"Invalid value for sort: {validation.show(text)}, must be id, timestamp, value, "
        "value-METRIC, value_stddev, value_stddev-METRIC or parameter-NAME"
    )


def _by_metric(experiment: ExperimentDescription, kind: str, name: str) -> Order:
    wanted: str | None = name
    if not name:
        wanted = (experiment.optimized or experiment.metrics)[0].name
    elif all(metric.name != name for metric in experiment.metrics):
        raise bad_request(f"Invalid value for sort: no metric {validation.show(name)}")

    def key(point: Point) -> tuple[Any, ...]:
        for value in (point.observation or {})["values"]:
            if value["name"] == wanted and value[kind] is not None:
                return (1, value[kind], point.id)
        return (0, 0.0, point.id)

    return key


def _by_parameter(name: str) -> Order:
    def key(point: Point) -> tuple[Any, ...]:
        return (point.assignments[name], point.id)

    return key
