"""Routes of queued suggestions: assignments to be suggested before the sampler is asked."""

from __future__ import annotations

from nc_sigopt_strategy.engine import documents, validation
from nc_sigopt_strategy.engine.api_error import not_found
from nc_sigopt_strategy.engine.context import Engine, JsonObject, unix_now
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.history.point import QUEUED_ATTR, Point
from nc_sigopt_strategy.engine.routes.pagination import paginate
from nc_sigopt_strategy.engine.routes.suggestions import check_active, refuse_task, withdraw


def create_queued(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """POST experiments/{experiment}/queued_suggestions."""
    stored = engine.experiment(experiment_id)
    check_active(stored, "queued suggestion")
    refuse_task(data)
    given = validation.required(data, "assignments")
    assignments = stored.experiment.check_assignments(given)
    history = engine.store.history(stored, refresh=False)
    point = engine.store.add(
        history, assignments, {QUEUED_ATTR: {"created": unix_now()}}, waiting=True
    )
    return documents.queued_suggestion(stored.id, stored.experiment, point)


def list_queued(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/queued_suggestions."""
    stored = engine.experiment(experiment_id)
    page = paginate(engine.store.history(stored).queued(), data)
    return page.document(
        lambda point: documents.queued_suggestion(stored.id, stored.experiment, point)
    )


def fetch_queued(
    engine: Engine, data: JsonObject, experiment_id: str, queued_id: str
) -> JsonObject:
    """GET experiments/{experiment}/queued_suggestions/{queued}."""
    stored = engine.experiment(experiment_id)
    point = _queued(engine.store.history(stored), queued_id)
    return documents.queued_suggestion(stored.id, stored.experiment, point)


def delete_queued(
    engine: Engine, data: JsonObject, experiment_id: str, queued_id: str
) -> JsonObject:
    """DELETE experiments/{experiment}/queued_suggestions/{queued}: take it back."""
    stored = engine.experiment(experiment_id)
    history = engine.store.history(stored)
    point = _queued(history, queued_id)
    if not withdraw(engine, history, point):
        raise _no_queued(queued_id, stored.id)
    return {}


def _queued(history: History, queued_id: str) -> Point:
    point = history.point(int(queued_id))
    if point is None or point.queued is None:
        raise _no_queued(queued_id, history.study_id)
    return point


def _no_queued(queued_id: str, study_id: int) -> Exception:
    return not_found(f"No queued suggestion: {queued_id} for experiment: {study_id}")
