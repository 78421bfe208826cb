"""The JSON objects of runs and AI experiments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.engine.database.run_tables import StoredPart, StoredRun
from nc_sigopt_strategy.engine.documents import CLIENT_ID
from nc_sigopt_strategy.engine.routes.runs.stored import has_finished

JsonObject = dict[str, Any]


def training_run(run: StoredRun) -> JsonObject:
    """A run."""
    kept = run.document
    return {
        "object": "training_run",
        "id": str(run.id),
        "client": CLIENT_ID,
        "project": kept["project"],
        "experiment": _id(kept["experiment"]),
        "suggestion": _id(kept["suggestion"]),
        "observation": _id(kept["observation"]),
        "user": None,
        "name": kept["name"],
        "state": kept["state"],
        "finished": has_finished(kept),
        **{key: kept[key] for key in ("created", "updated", "completed", "deleted", "favorite")},
        "assignments": kept["assignments"],
        "assignments_meta": _named(kept, "assignments_meta"),
        "assignments_sources": _named(kept, "assignments_sources"),
        "values": {
            name: {"object": "metric_evaluation", "name": name, **value}
            for name, value in kept["values"].items()
        },
        **{key: kept[key] for key in ("metadata", "dev_metadata", "sys_metadata")},
        "datasets": {name: {"object": "dataset"} for name in kept["datasets"]},
        "logs": {name: {"object": "log", **log} for name, log in kept["logs"].items()},
        "model": {"object": "model", "type": kept["model"].get("type")},
        "source_code": {
            "object": "source_code",
            "content": kept["source_code"].get("content"),
            "hash": kept["source_code"].get("hash"),
        },
        **{key: kept[key] for key in ("checkpoint_count", "tags", "files")},
    }


def checkpoint(part: StoredPart) -> JsonObject:
    """A checkpoint of a run."""
    return {
        "object": "checkpoint",
        "id": str(part.id),
        "training_run": str(part.run),
        "created": part.document["created"],
        "metadata": part.document["metadata"],
        "values": [{"object": "metric_evaluation", **value} for value in part.document["values"]],
    }


def ai_experiment(experiment: JsonObject, finished: int, active: int) -> JsonObject:
    """An AI experiment.

    Args:
        experiment: The same as a core experiment.
        finished: How many of its runs have finished.
        active: How many have not.
    """
    budget = experiment["budget"]
    total = finished + active
    left_out = ("development", "observation_budget")
    return {
        **{key: value for key, value in experiment.items() if key not in left_out},
        "object": "aiexperiment",
        "progress": {
            "object": "progress",
            "finished_run_count": finished,
            "active_run_count": active,
            "total_run_count": total,
            "remaining_budget": None if budget is None else budget - total,
        },
    }


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)


def _named(kept: Mapping[str, Any], key: str) -> JsonObject:
    return {name: {"object": key, **entry} for name, entry in kept[key].items()}
