"""Routes of a run's checkpoints: what its metrics were on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import ApiError, bad_request, not_found
from nc_sigopt_strategy.engine.context import Engine, JsonObject, unix_now
from nc_sigopt_strategy.engine.routes.pagination import paginate
from nc_sigopt_strategy.engine.routes.runs import documents
from nc_sigopt_strategy.engine.routes.runs.training_runs import run_with

MAX_CHECKPOINTS = 200
CHECKPOINT = "checkpoint"


def create_checkpoint(engine: Engine, data: JsonObject, run_id: str) -> JsonObject:
    """POST training_runs/{run}/checkpoints."""
    run = run_with(engine, run_id)
    validation.check_keys(data, ("values", "metadata"))
    entries = validation.array(validation.required(data, "values"), "values")
    values = [_value(validation.object_(entry, "values[]")) for entry in entries]
    names = [value["name"] for value in values]
    if len(set(names)) < len(names):
        raise bad_request("values names a metric twice")
    checkpoint = {
        "created": unix_now(),
        "metadata": validation.metadata(data.get("metadata")),
        "values": sorted(values, key=lambda value: value["name"]),
    }

    def counted(kept: Mapping[str, Any], checkpoint_id: int) -> JsonObject:
        if kept["observation"] is not None:
            raise ApiError(403, f"Run {run_id} has already been used to create observation")
        if kept["checkpoint_count"] >= MAX_CHECKPOINTS:
            raise ApiError(403, f"A run has at most {MAX_CHECKPOINTS} checkpoints")
        return {**kept, "checkpoint_count": kept["checkpoint_count"] + 1}

    return documents.checkpoint(engine.store.runs.add_part(run, CHECKPOINT, checkpoint, counted))


def list_checkpoints(engine: Engine, data: JsonObject, run_id: str) -> JsonObject:
    """GET training_runs/{run}/checkpoints."""
    run = run_with(engine, run_id)
    return paginate(engine.store.runs.parts(run.id, CHECKPOINT), data).document(
        documents.checkpoint
    )


def fetch_checkpoint(
    engine: Engine, data: JsonObject, run_id: str, checkpoint_id: str
) -> JsonObject:
    """GET training_runs/{run}/checkpoints/{checkpoint}."""
    run = run_with(engine, run_id)
    found = engine.store.runs.part(int(checkpoint_id), CHECKPOINT)
    if found is None or found.run != run.id:
        raise not_found(f"No checkpoint {checkpoint_id} of run {run_id}")
    return documents.checkpoint(found)


def _value(raw: JsonObject) -> dict[str, Any]:
    validation.check_keys(raw, ("name", "value", "value_stddev"), "value")
    stddev = raw.get("value_stddev")
    name = validation.name(validation.required(raw, "name"), "name")
    return {
        "name": name,
        "value": validation.number(validation.required(raw, "value"), f"value of {name}"),
        "value_stddev": None if stddev is None else validation.number(stddev, "value_stddev"),
    }
