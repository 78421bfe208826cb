"""Routes that put the client's tags on a run and take them off."""

from __future__ import annotations

from nc_sigopt_strategy.engine import documents, validation
from nc_sigopt_strategy.engine.api_error import ApiError, not_found
from nc_sigopt_strategy.engine.context import Engine, JsonObject
from nc_sigopt_strategy.engine.database.database import MAX_ID
from nc_sigopt_strategy.engine.routes.runs.training_runs import run_with


def add_tag(engine: Engine, data: JsonObject, run_id: str) -> JsonObject:
    """POST training_runs/{run}/tags."""
    run = run_with(engine, run_id)
    validation.check_keys(data, ("id",))
    wanted = str(validation.required(data, "id"))
    tags = {str(tag_id): (tag_id, stored) for tag_id, stored in engine.store.tags.all()}
    if wanted not in tags:
        raise ApiError(422, f"There is no tag {wanted[:60]}")
    engine.store.runs.change(
        run, lambda kept: {**kept, "tags": sorted({*kept["tags"], wanted}, key=int)}
    )
    return documents.tag(*tags[wanted])


def remove_tag(engine: Engine, data: JsonObject, run_id: str, tag_id: str) -> JsonObject:
    """DELETE training_runs/{run}/tags/{tag}."""
    run = run_with(engine, run_id)
    if int(tag_id) > MAX_ID:
        raise not_found(f"No tag {tag_id}")
    engine.store.runs.change(
        run, lambda kept: {**kept, "tags": [tag for tag in kept["tags"] if tag != tag_id]}
    )
    return {}
