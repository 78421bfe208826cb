"""Routes of suggestions."""

from __future__ import annotations

import dataclasses
import time

from optuna.trial import TrialState

from nc_sigopt_strategy.engine import documents, validation
from nc_sigopt_strategy.engine.api_error import ApiError, bad_request, not_found
from nc_sigopt_strategy.engine.context import Engine, JsonObject, unix_now
from nc_sigopt_strategy.engine.database.trial_writer import Finish, OvertakenError
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.history.point import SUGGESTION_ATTR, Point
from nc_sigopt_strategy.engine.routes.pagination import paginate
from nc_sigopt_strategy.engine.store import StoredExperiment
from nc_sigopt_strategy.sampling import WITHDRAWN_ATTR

# How often a suggestion is drawn again because another process took the same point meanwhile.
_RACES = 20


def create_suggestion(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """POST experiments/{experiment}/suggestions.

    The assignments given, else the oldest queued suggestion, else the sampler's. Keys that are
    not known are ignored here and in the other routes of suggestions, as on a SigOpt server.
    """
    stored = engine.experiment(experiment_id)
    refuse_if_of_runs(stored, "Suggestions")
    check_active(stored, "suggestion")
    refuse_task(data)
    point = suggest(engine, stored, data)
    return documents.suggestion(stored.id, stored.experiment, point, {})


def suggest(engine: Engine, stored: StoredExperiment, data: JsonObject) -> Point:
    """Make an open suggestion.

    Args:
        engine: The engine.
        stored: The experiment.
        data: ``assignments`` and ``metadata``, if it has any of its own.

    Raises:
        ApiError: 400, they are not as they must be.
    """
    made = {"created": unix_now(), "metadata": validation.metadata(data.get("metadata"))}
    if "assignments" in data:
        assignments = stored.experiment.check_assignments(data["assignments"])
        history = engine.store.history(stored, refresh=False)
        return engine.store.add(history, assignments, {SUGGESTION_ATTR: made})
    return _suggested(engine, stored, made)


def list_suggestions(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/suggestions."""
    stored = engine.experiment(experiment_id)
    opened = _asks_for_open(data)
    deleted = validation.query_boolean(data.get("deleted", False), "deleted")
    ids = {part.strip() for part in str(data["id"]).split(",")} if data.get("id") else None
    history = engine.store.history(stored)
    items = history.suggestions(deleted=deleted, only_open=opened and not deleted)
    if ids is not None or opened:
        items = [
            point
            for point in items
            if (point.is_open or not opened) and (ids is None or str(point.id) in ids)
        ]
    page = paginate(items, data)
    changed = engine.store.metadata(history, page.items)
    return page.document(
        lambda point: documents.suggestion(stored.id, stored.experiment, point, changed)
    )


def fetch_suggestion(
    engine: Engine, data: JsonObject, experiment_id: str, suggestion_id: str
) -> JsonObject:
    """GET experiments/{experiment}/suggestions/{suggestion}."""
    stored = engine.experiment(experiment_id)
    history = engine.store.history(stored)
    point = _suggestion(history, suggestion_id)
    changed = engine.store.metadata(history, [point])
    return documents.suggestion(stored.id, stored.experiment, point, changed)


def update_suggestion(
    engine: Engine, data: JsonObject, experiment_id: str, suggestion_id: str
) -> JsonObject:
    """PUT experiments/{experiment}/suggestions/{suggestion}: its metadata."""
    stored = engine.experiment(experiment_id)
    history = engine.store.history(stored)
    point = _suggestion(history, suggestion_id)
    if "metadata" in data:
        metadata = validation.metadata(data["metadata"])
        engine.store.save_metadata(history, point, metadata)
        changed = {point.id: metadata}
    else:
        changed = engine.store.metadata(history, [point])
    return documents.suggestion(stored.id, stored.experiment, point, changed)


def delete_suggestion(
    engine: Engine, data: JsonObject, experiment_id: str, suggestion_id: str
) -> JsonObject:
    """DELETE experiments/{experiment}/suggestions/{suggestion}: take an open one back."""
    stored = engine.experiment(experiment_id)
    history = engine.store.history(stored)
    point = _suggestion(history, suggestion_id)
    if not (point.is_open and withdraw(engine, history, point)):
        raise bad_request(
            f"Suggestion {suggestion_id} has been observed; the embedded engine keeps "
            "observations and what was observed"
        )
    return {}


def delete_suggestions(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """DELETE experiments/{experiment}/suggestions: take all open ones back."""
    stored = engine.experiment(experiment_id)
    _asks_for_open(data)
    history = engine.store.history(stored)
    for point in history.suggestions(only_open=True):
        withdraw(engine, history, point)
    return {}


def check_active(stored: StoredExperiment, what: str) -> None:
    """Refuse to make something for a deleted experiment.

    Raises:
        ApiError: 400.
    """
    if stored.experiment.state != "active":
        raise bad_request(f"Cannot create {what} for deleted experiment {stored.id}")


def refuse_if_of_runs(stored: StoredExperiment, what: str) -> None:
    """Refuse to make by hand what the runs of an AI experiment bring.

    Raises:
        ApiError: 403.
    """
    if stored.experiment.runs_only:
        raise ApiError(
            403,
            f"{what} cannot be created directly for experiment {stored.id}, please create runs "
            "instead",
        )


def refuse_task(data: JsonObject) -> None:
    """Refuse what only experiments with tasks have.

    Raises:
        ApiError: 400.
    """
    if data.get("task") is not None:
        raise bad_request("task is not offered by the embedded engine")


def withdraw(engine: Engine, history: History, point: Point) -> bool:
    """Take a suggestion, or a queued one, back; False if somebody else was faster."""
    finish = Finish(TrialState.FAIL, {WITHDRAWN_ATTR: unix_now()})
    return engine.store.finish(history, point, finish) is not None


def _asks_for_open(query: JsonObject) -> bool:
    """Whether only open suggestions are meant; of a state, open is the only one to ask for."""
    state = query.get("state")
    return state is not None and bool(validation.one_of(state, ("open",), "state"))


def _suggestion(history: History, suggestion_id: str) -> Point:
    point = history.point(int(suggestion_id))
    if point is None or point.suggestion is None or point.withdrawn:
        raise not_found(f"No suggestion: {suggestion_id} for experiment: {history.study_id}")
    return point


def _suggested(engine: Engine, stored: StoredExperiment, made: JsonObject) -> Point:
    waiting_since = time.perf_counter()
    with engine.turn(stored.id):
        engine.clock.seconds += time.perf_counter() - waiting_since
        history = engine.store.history(stored)
        return _queued(engine, history, made) or _sampled(engine, stored, history, made)


def _queued(engine: Engine, history: History, made: JsonObject) -> Point | None:
    """The oldest queued suggestion, which is an open one from now on."""
    for point in history.queued():
        if engine.store.start(point, {SUGGESTION_ATTR: made}):
            return dataclasses.replace(point, suggestion=made, queued=None, running=True)
    return None


def _sampled(
    engine: Engine, stored: StoredExperiment, history: History, made: JsonObject
) -> Point:
    record = engine.store.record(stored.id)
    for race in range(_RACES):
        asked = time.perf_counter()
        assignments = engine.proposer.propose(stored.experiment, history, race, record)
        engine.clock.seconds += time.perf_counter() - asked
        while True:
            expected = history.next_number
            try:
                return engine.store.add(
                    history, assignments, {SUGGESTION_ATTR: made}, only_as=expected
                )
            except OvertakenError:
                history = engine.store.history(stored)
            if history.next_number == expected:
                # What was added is not the engine's, so it has no assignments to meet.
                return engine.store.add(history, assignments, {SUGGESTION_ATTR: made})
            if history.is_taken(assignments):
                break
    return engine.store.add(history, assignments, {SUGGESTION_ATTR: made})
