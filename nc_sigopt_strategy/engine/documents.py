"""The JSON objects of SigOpt's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.engine.history.description import (
    ExperimentDescription,
    Metric,
    ParameterDomain,
)
from nc_sigopt_strategy.engine.history.history import Progress
from nc_sigopt_strategy.engine.history.point import Point

JsonObject = dict[str, Any]

CLIENT_ID = "1"
TOKEN = "embedded"
ENGINE = "nc_sigopt_strategy"
# How long a guest token is let in, as on SigOpt's server.
GUEST_SECONDS = 30 * 24 * 3600


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
        # An extension of ours, by which a client knows this engine from SigOpt's.
        "engine": ENGINE,
    }


def guest_token(experiment: str | None, training_run: str | None, expires: int) -> JsonObject:
    """A token for looking at one experiment with its runs, or at one run.

    Args:
        experiment: Id of the experiment; ``None`` of a run that belongs to none.
        training_run: Id of the run that is shared; ``None`` if it is the experiment.
        expires: Until when it is let in, in unix seconds.
    """
    return {
        **token(),
        "token_type": "guest",
        "all_experiments": False,
        "experiment": experiment,
        "training_run": training_run,
        "permissions": "read",
        "scope": "shared_experiment",
        "expires": expires,
        "lease_length": GUEST_SECONDS,
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


def organization() -> JsonObject:
    """The one organization, which has the one client."""
    return {
        "object": "organization",
        "id": CLIENT_ID,
        "name": "embedded",
        "created": 0,
        "academic": False,
        "email_domains": [],
    }


def tag(tag_id: int, stored: Mapping[str, Any]) -> JsonObject:
    """A tag."""
    return {
        "object": "tag",
        "id": str(tag_id),
        "name": stored["name"],
        "color": stored["color"],
        "client": CLIENT_ID,
    }


def project(stored: Mapping[str, Any], experiments: int, runs: int) -> JsonObject:
    """A project with how many experiments and runs it has."""
    return {
        "object": "project",
        "id": stored["id"],
        "name": stored["name"],
        "client": CLIENT_ID,
        "user": None,
        "created": stored["created"],
        "updated": stored["updated"],
        "metadata": stored["metadata"],
        "experiment_count": experiments,
        "training_run_count": runs,
        "deleted": stored["deleted"],
    }


def experiment(experiment_id: int, found: ExperimentDescription, progress: Progress) -> JsonObject:
    """An experiment with its progress; one of runs has ``budget`` for ``observation_budget``."""
    return {
        "object": "experiment",
        "id": str(experiment_id),
        "client": CLIENT_ID,
        "name": found.name,
        "type": found.type,
        "state": found.state,
        "created": found.created,
        "updated": max(found.updated, progress.updated),
        "user": None,
        "development": False,
        "runs_only": found.runs_only,
        "project": found.project,
        "metadata": found.metadata,
        "budget" if found.runs_only else "observation_budget": found.observation_budget,
        "parallel_bandwidth": found.parallel_bandwidth,
        "num_solutions": found.num_solutions,
        "metrics": [_metric(metric) for metric in found.metrics],
        "parameters": [
            _parameter(parameter, of_grid=found.type == "grid") for parameter in found.parameters
        ],
        "conditionals": [],
        "linear_constraints": [],
        "progress": _progress(experiment_id, found, progress),
    }


def suggestion(
    experiment_id: int,
    found: ExperimentDescription,
    point: Point,
    changed: Mapping[int, JsonObject | None],
) -> JsonObject:
    """A suggestion.

    Args:
        experiment_id: Its experiment.
        found: The same.
        point: The suggestion.
        changed: Suggestion id to metadata, where it was changed later.
    """
    made = point.suggestion or {}
    metadata = changed[point.id] if point.id in changed else made.get("metadata")
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


def queued_suggestion(
    experiment_id: int, found: ExperimentDescription, point: Point
) -> JsonObject:
    """A queued suggestion."""
    return {
        "object": "queued_suggestion",
        "id": str(point.id),
        "experiment": str(experiment_id),
        "created": (point.queued or {}).get("created"),
        "assignments": assignments(found, point),
    }


def observation(experiment_id: int, found: ExperimentDescription, point: Point) -> JsonObject:
    """An observation."""
    made = point.observation or {}
    return {
        "object": "observation",
        "id": str(point.observation_id),
        "experiment": str(experiment_id),
        "created": made["created"],
        "assignments": assignments(found, point),
        "suggestion": made["suggestion"],
        "failed": made["failed"],
        "metadata": made["metadata"],
        "values": _values(made),
    }


def best_assignments(found: ExperimentDescription, point: Point) -> JsonObject:
    """One of the best observations."""
    made = point.observation or {}
    return {
        "object": "best_assignments",
        "id": str(point.observation_id),
        "assignments": assignments(found, point),
        "metadata": made["metadata"],
        "values": _values(made),
    }


def assignments(found: ExperimentDescription, point: Point) -> JsonObject:
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


def _parameter(parameter: ParameterDomain, *, of_grid: bool) -> JsonObject:
    bounds = None
    if parameter.grid:
        low, high = min(parameter.grid), max(parameter.grid)
        bounds = {"object": "bounds", "min": low, "max": high}
    elif parameter.low is not None:
        bounds = {"object": "bounds", "min": parameter.low, "max": parameter.high}
    categories = None
    if parameter.type == "categorical":
        categories = [
            {"object": "categorical_value", "name": name, "enum_index": index}
            for index, name in enumerate(parameter.codes, start=1)
            if name in parameter.categories
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
    grid = parameter.categories if of_grid and parameter.categories else parameter.grid
    if grid:
        document["grid"] = list(grid)
    return document


def _progress(experiment_id: int, found: ExperimentDescription, progress: Progress) -> JsonObject:
    def shown(point: Point | None) -> JsonObject | None:
        return None if point is None else observation(experiment_id, found, point)

    return {
        "object": "progress",
        "observation_count": progress.count,
        "observation_budget_consumed": progress.count,
        "first_observation": shown(progress.first),
        "last_observation": shown(progress.last),
        "best_observation": shown(progress.best),
    }
