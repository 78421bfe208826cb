"""Routes of suggestions."""

from __future__ import annotations

from typing import Any

from optuna.trial import TrialState

from nc_sigopt_strategy.embedded import documents, validation
from nc_sigopt_strategy.embedded.api_error import bad_request, not_found
from nc_sigopt_strategy.embedded.engine import Engine, JsonObject, unix_now
from nc_sigopt_strategy.embedded.model import Experiment
from nc_sigopt_strategy.embedded.pagination import PAGING_KEYS, paginate
from nc_sigopt_strategy.embedded.proposal import propose
from nc_sigopt_strategy.embedded.store import METADATA_ATTR_PREFIX, SUGGESTION_ATTR, Point
from nc_sigopt_strategy.embedded.tables import Finish
from nc_sigopt_strategy.sampling import WITHDRAWN_ATTR

# How often a suggestion is drawn again because another process took the same point meanwhile.
_RACES = 20


def create_suggestion(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """POST experiments/{experiment}/suggestions: the sampler's, or the assignments given."""
    study_id, experiment = engine.experiment(experiment_id)
    validation.check_keys(data, ("assignments", "metadata"))
    if experiment.state != "active":
        raise bad_request(f"Experiment {experiment_id} is deleted")
    made = {"created": unix_now(), "metadata": validation.metadata(data.get("metadata"))}
    if data.get("assignments") is not None:
        assignments = experiment.check_assignments(data["assignments"])
        point = engine.store.add(study_id, experiment, assignments, {SUGGESTION_ATTR: made})
    else:
        point = _sampled(engine, study_id, experiment, made)
    return documents.suggestion(study_id, experiment, point, {})


def list_suggestions(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/suggestions."""
    study_id, experiment = engine.experiment(experiment_id)
    validation.check_keys(data, ("state", "deleted", "id", *PAGING_KEYS), "query")
    state = data.get("state")
    if state is not None:
        validation.one_of(state, ("open", "closed"), "state")
    deleted = validation.boolean(data.get("deleted", False), "deleted")
    ids = None if data.get("id") is None else {part.strip() for part in str(data["id"]).split(",")}
    items = [
        (point.id, point)
        for point in engine.store.points(study_id)
        if point.suggestion is not None
        and point.withdrawn == deleted
        and (state is None or point.is_open == (state == "open"))
        and (ids is None or str(point.id) in ids)
    ]
    attrs = engine.store.study_attrs(study_id)
    return paginate(
        items, data, lambda _, point: documents.suggestion(study_id, experiment, point, attrs)
    )


def fetch_suggestion(
    engine: Engine, data: JsonObject, experiment_id: str, suggestion_id: str
) -> JsonObject:
    """GET experiments/{experiment}/suggestions/{suggestion}."""
    study_id, experiment = engine.experiment(experiment_id)
    point = _suggestion(engine, study_id, suggestion_id)
    return documents.suggestion(study_id, experiment, point, engine.store.study_attrs(study_id))


def update_suggestion(
    engine: Engine, data: JsonObject, experiment_id: str, suggestion_id: str
) -> JsonObject:
    """PUT experiments/{experiment}/suggestions/{suggestion}: its metadata."""
    study_id, experiment = engine.experiment(experiment_id)
    validation.check_keys(data, ("metadata",))
    point = _suggestion(engine, study_id, suggestion_id)
    if "metadata" in data:
        # Kept with the experiment: Optuna lets no attribute of a finished trial change.
        metadata = validation.metadata(data["metadata"])
        engine.store.set_study_attr(study_id, f"{METADATA_ATTR_PREFIX}{point.id}", metadata)
    return documents.suggestion(study_id, experiment, point, engine.store.study_attrs(study_id))


def delete_suggestion(
    engine: Engine, data: JsonObject, experiment_id: str, suggestion_id: str
) -> JsonObject:
    """DELETE experiments/{experiment}/suggestions/{suggestion}: take an open one back."""
    study_id, _ = engine.experiment(experiment_id)
    point = _suggestion(engine, study_id, suggestion_id)
    if not (point.is_open and _withdraw(engine, point)):
        raise bad_request(
            f"Suggestion {suggestion_id} has been observed; the embedded engine keeps "
            "observations and what was observed"
        )
    return {}


def delete_suggestions(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """DELETE experiments/{experiment}/suggestions: take all open ones back."""
    study_id, _ = engine.experiment(experiment_id)
    validation.check_keys(data, ("state",), "query")
    if data.get("state") is not None:
        validation.one_of(data["state"], ("open",), "state")
    for point in engine.store.points(study_id):
        if point.is_open:
            _withdraw(engine, point)
    return {}


def _withdraw(engine: Engine, point: Point) -> bool:
    return engine.store.finish(point, Finish(TrialState.FAIL, {WITHDRAWN_ATTR: unix_now()}))


def _suggestion(engine: Engine, study_id: int, suggestion_id: str) -> Point:
    for point in engine.store.points(study_id):
        if str(point.id) == suggestion_id and point.suggestion and not point.withdrawn:
            return point
    raise not_found(f"No suggestion: {suggestion_id} for experiment: {study_id}")


def _sampled(engine: Engine, study_id: int, experiment: Experiment, made: dict[str, Any]) -> Point:
    record = engine.store.record(study_id)
    for race in range(_RACES):
        points = engine.store.points(study_id)
        study = engine.store.study(study_id)
        assignments = propose(experiment, study, points, engine.sampler, engine.seed, race, record)
        point = engine.store.add(study_id, experiment, assignments, {SUGGESTION_ATTR: made})
        if point.number == len(points) or not _taken_before(engine, study_id, point):
            return point
        # Another process added trials since ``points`` was read, the same assignments among
        # them. The later of the two gives way.
        _withdraw(engine, point)
    return engine.store.add(study_id, experiment, assignments, {SUGGESTION_ATTR: made})


def _taken_before(engine: Engine, study_id: int, point: Point) -> bool:
    return any(
        other.number < point.number
        and not other.withdrawn
        and other.assignments == point.assignments
        for other in engine.store.points(study_id)
    )
