"""The JSON objects of SigOpt's API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.embedded.best import best_of
from nc_sigopt_strategy.embedded.model import Experiment, Metric, Parameter
from nc_sigopt_strategy.embedded.store import METADATA_ATTR_PREFIX, Point

JsonObject = dict[str, Any]

CLIENT_ID = "1"
TOKEN = "embedded"


def token() -> JsonObject:
    """The one token: it stands for whoever can open the store."""
    return {
        "object": "token",
        "token": TOKEN,
        "token_type": "client-api",
        "client": CLIENT_ID,
        "organization": CLIENT_ID,
        "user": None,
        "all_experiments": True,
        "development": False,
        "experiment": None,
        "training_run": None,
        "permissions": "write",
        "scope": "all_endpoints",
        "expires": None,
        "lease_length": None,
    }


def client() -> JsonObject:
    """The one client."""
    return {
        "object": "client",
        "id": CLIENT_ID,
        "name": "embedded",
        "organization": CLIENT_ID,
        "created": 0,
        "client_security": {},
    }


def project(stored: Mapping[str, Any], experiment_count: int) -> JsonObject:
    """A project."""
    return {
        "object": "project",
        "id": stored["id"],
        "name": stored["name"],
        "client": CLIENT_ID,
        "user": None,
        "created": stored["created"],
        "updated": stored["updated"],
        "metadata": stored["metadata"],
        "experiment_count": experiment_count,
        "training_run_count": 0,
        "deleted": stored["deleted"],
    }


def experiment(experiment_id: int, found: Experiment, points: Sequence[Point]) -> JsonObject:
    """An experiment with its progress."""
    return {
        "object": "experiment",
        "id": str(experiment_id),
        "client": CLIENT_ID,
        "name": found.name,
        "type": found.type,
        "state": found.state,
        "created": found.created,
        "updated": found.updated,
        "user": None,
        "development": False,
        "runs_only": False,
        "project": found.project,
        "metadata": found.metadata,
        "observation_budget": found.observation_budget,
        "parallel_bandwidth": found.parallel_bandwidth,
        "num_solutions": found.num_solutions,
        "metrics": [_metric(metric) for metric in found.metrics],
        "parameters": [_parameter(parameter) for parameter in found.parameters],
        "conditionals": [],
        "linear_constraints": [],
        "progress": _progress(experiment_id, found, points),
    }


def suggestion(
    experiment_id: int, found: Experiment, point: Point, attrs: Mapping[str, Any]
) -> JsonObject:
    """A suggestion.

    Args:
        experiment_id: Its experiment.
        found: The same.
        point: The suggestion.
        attrs: The experiment's attributes, which hold metadata that was changed later.
    """
    made = point.suggestion or {}
    metadata = attrs.get(f"{METADATA_ATTR_PREFIX}{point.id}", made.get("metadata"))
    return {
        "object": "suggestion",
        "id": str(point.id),
        # An extension of ours: the position in the experiment, from 1.
        "number": point.number + 1,
        "experiment": str(experiment_id),
        "state": "open" if point.is_open else "closed",
        "created": made.get("created"),
        "deleted": point.withdrawn,
        "assignments": assignments(found, point),
        "metadata": metadata,
    }


def observation(experiment_id: int, found: Experiment, point: Point) -> JsonObject:
    """An observation."""
    made = point.observation or {}
    return {
        "object": "observation",
        "id": str(point.id),
        "experiment": str(experiment_id),
        "created": made["created"],
        "assignments": assignments(found, point),
        "suggestion": made["suggestion"],
        "failed": made["failed"],
        "metadata": made["metadata"],
        "values": _values(made),
    }


def best_assignments(found: Experiment, point: Point) -> JsonObject:
    """One of the best observations."""
    made = point.observation or {}
    return {
        "object": "best_assignments",
        "id": str(point.id),
        "assignments": assignments(found, point),
        "metadata": made["metadata"],
        "values": _values(made),
    }


def assignments(found: Experiment, point: Point) -> JsonObject:
    """Parameter name to value, in the experiment's order."""
    return {parameter.name: point.assignments[parameter.name] for parameter in found.parameters}


def _values(made: Mapping[str, Any]) -> list[JsonObject]:
    return [{"object": "metric_evaluation", **value} for value in made["values"]]


def _metric(metric: Metric) -> JsonObject:
    return {
        "object": "metric",
        "name": metric.name,
        "objective": metric.objective,
        "strategy": metric.strategy,
        "threshold": metric.threshold,
    }


def _parameter(parameter: Parameter) -> JsonObject:
    bounds = None
    if parameter.low is not None:
        bounds = {"object": "bounds", "min": parameter.low, "max": parameter.high}
    categories = None
    if parameter.type == "categorical":
        categories = [
            {"object": "categorical_value", "name": name, "enum_index": index}
            for index, name in enumerate(parameter.categories, start=1)
        ]
    document = {
        "object": "parameter",
        "name": parameter.name,
        "type": parameter.type,
        "bounds": bounds,
        "categorical_values": categories,
        "conditions": {},
        "default_value": parameter.default_value,
        "prior": None,
        "transformation": "log" if parameter.log else None,
    }
    if parameter.grid:
        document["grid"] = list(parameter.grid)
    return document


def _progress(experiment_id: int, found: Experiment, points: Sequence[Point]) -> JsonObject:
    observed = [point for point in points if point.observation]

    def shown(point: Point | None) -> JsonObject | None:
        return None if point is None else observation(experiment_id, found, point)

    # With one optimized metric a server names the best value here, thresholds or not.
    best = best_of(found, observed, within_thresholds=False) if len(found.optimized) == 1 else []
    return {
        "object": "progress",
        "observation_count": len(observed),
        "observation_budget_consumed": len(observed),
        "first_observation": shown(min(observed, key=_made_at, default=None)),
        "last_observation": shown(max(observed, key=_made_at, default=None)),
        "best_observation": shown(best[0] if best else None),
    }


def _made_at(point: Point) -> tuple[int, int]:
    return (point.observation or {})["created"], point.id
