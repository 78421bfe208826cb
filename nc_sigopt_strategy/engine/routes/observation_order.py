"""The orders in which a list of observations can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request
from nc_sigopt_strategy.engine.history.description import ExperimentDescription
from nc_sigopt_strategy.engine.history.point import Point

# Sorts by what is there, then by what is looked for, then by id: any two points compare.
Order = Callable[[Point], tuple[Any, ...]]


def observation_order(experiment: ExperimentDescription, sort: Any) -> Order | None:
    """The key to sort observations by, ascending; ``None`` for the order of arrival.

    Args:
        experiment: Its metrics and parameters.
        sort: ``id``, ``timestamp``, ``value``, ``value-METRIC``, ``value_stddev``,
            ``value_stddev-METRIC`` or ``parameter-NAME``; without a metric it is the first one
            by name. What has no such value, or all where there is no such metric, comes last
            (first when descending), as PostgreSQL's NULLs do.

    Raises:
        ApiError: 400, there is no such order.
    """
    if sort in (None, "", "id"):
        return None
    text = validation.text(sort, "sort")
    if text == "timestamp":
        return _by_time
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
    wanted = name or experiment.metrics[0].name

    def key(point: Point) -> tuple[Any, ...]:
        for value in (point.observation or {})["values"]:
            if value["name"] == wanted and value[kind] is not None:
                return (0, value[kind], point.observation_id)
        return (1, 0.0, point.observation_id)

    return key


def _by_parameter(name: str) -> Order:
    def key(point: Point) -> tuple[Any, ...]:
        return (point.assignments[name], point.observation_id)

    return key


def _by_time(point: Point) -> tuple[Any, ...]:
    return (point.observation or {})["created"], point.observation_id
