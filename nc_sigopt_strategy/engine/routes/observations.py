"""Routes of observations."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState

from nc_sigopt_strategy.engine import documents, validation
from nc_sigopt_strategy.engine.api_error import ApiError, bad_request, not_found
from nc_sigopt_strategy.engine.context import Engine, JsonObject, unix_now
from nc_sigopt_strategy.engine.database.trial_writer import Finish
from nc_sigopt_strategy.engine.history.description import ExperimentDescription
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.history.point import OBSERVATION_ATTR, Point
from nc_sigopt_strategy.engine.routes.observation_order import observation_order
from nc_sigopt_strategy.engine.routes.pagination import PAGING_KEYS, paginate
from nc_sigopt_strategy.engine.store import StoredExperiment

MAX_BATCH = 2500

_CREATE_KEYS = ("suggestion", "assignments", "values", "failed", "metadata", "no_optimize")
_FINAL = (
    "{what} is not offered by the embedded engine: its samplers have already learned from the "
    "observation. Report another one of the same suggestion instead."
)


@dataclass(frozen=True)
class _Report:
    """A checked request to observe.

    Attributes:
        point: The suggestion; ``None`` when assignments were given.
        assignments: Parameter name to value.
        finish: How the trial ends.
    """

    point: Point | None
    assignments: dict[str, Any]
    finish: Finish


def create_observation(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """POST experiments/{experiment}/observations. It is on disk when this returns."""
    stored = engine.experiment(experiment_id)
    report = _check(data, stored, engine.store.history(stored))
    return _observe(engine, stored, report)


def create_observations(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """POST experiments/{experiment}/observations/batch.

    All are checked before the first is stored; each is stored for itself.
    """
    stored = engine.experiment(experiment_id)
    validation.check_keys(data, ("observations", "dry_run", "no_optimize"))
    batch = validation.array(validation.required(data, "observations"), "observations")
    if len(batch) > MAX_BATCH:
        raise bad_request(f"A batch has at most {MAX_BATCH} observations, got {len(batch)}")
    dry_run = _flag(data, "dry_run")
    _flag(data, "no_optimize")
    history = engine.store.history(stored)
    reports = [
        _check(validation.object_(entry, "observations[]"), stored, history) for entry in batch
    ]
    made = [_observe(engine, stored, report) for report in reports if not dry_run]
    return {
        "object": "pagination",
        "count": len(made),
        "data": made,
        "paging": {"before": None, "after": None},
    }


def list_observations(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/observations."""
    stored = engine.experiment(experiment_id)
    validation.check_keys(data, ("sort", "ascending", *PAGING_KEYS), "query")
    order = observation_order(stored.experiment, data.get("sort"))
    ascending = validation.boolean(data.get("ascending", False), "ascending")
    observed = engine.store.history(stored).observed()
    if order is None:
        page = paginate(observed, data, ascending=ascending)
    else:
        page = paginate(sorted(observed, key=order), data, ascending=ascending, by_id=False)
    return page.document(lambda point: documents.observation(stored.id, stored.experiment, point))


def fetch_observation(
    engine: Engine, data: JsonObject, experiment_id: str, observation_id: str
) -> JsonObject:
    """GET experiments/{experiment}/observations/{observation}."""
    stored = engine.experiment(experiment_id)
    point = engine.store.history(stored).point(int(observation_id))
    if point is None or point.observation is None:
        raise not_found(f"No observation {observation_id} for experiment: {stored.id}")
    return documents.observation(stored.id, stored.experiment, point)


def refuse_update(engine: Engine, data: JsonObject, *ids: str) -> JsonObject:
    """PUT experiments/{experiment}/observations/{observation}: 405."""
    raise ApiError(405, _FINAL.format(what="Changing an observation"))


def refuse_delete(engine: Engine, data: JsonObject, *ids: str) -> JsonObject:
    """DELETE experiments/{experiment}/observations and one of them: 405."""
    raise ApiError(405, _FINAL.format(what="Deleting an observation"))


def _observe(engine: Engine, stored: StoredExperiment, report: _Report) -> JsonObject:
    point = report.point
    if point is not None and point.is_open and engine.store.finish(point, report.finish):
        made = report.finish.user_attrs[OBSERVATION_ATTR]
        observed = dataclasses.replace(point, observation=made)
        return documents.observation(stored.id, stored.experiment, observed)
    if point is not None:
        # It was observed before, or by another process since it was read: SigOpt allows several
        # observations of a suggestion, so this one is kept beside the first. But another
        # process may also have taken the suggestion back.
        now = engine.store.history(stored).point(point.id)
        if now is not None and now.withdrawn:
            raise _no_suggestion(point.id, stored.id)
    history = engine.store.history(stored, refresh=False)
    observed = engine.store.add(history, report.assignments, {}, report.finish)
    return documents.observation(stored.id, stored.experiment, observed)


def _check(data: JsonObject, stored: StoredExperiment, history: History) -> _Report:
    experiment = stored.experiment
    validation.check_keys(data, _CREATE_KEYS)
    _flag(data, "no_optimize")
    suggestion_id, given = data.get("suggestion"), data.get("assignments")
    if (suggestion_id is None) == (given is None):
        raise bad_request("Exactly one of suggestion and assignments must be given")
    point = None
    if suggestion_id is None:
        assignments = experiment.check_assignments(given)
    else:
        point = _suggestion(history, suggestion_id)
        if point is None or point.suggestion is None or point.withdrawn:
            raise _no_suggestion(suggestion_id, stored.id)
        assignments = dict(point.assignments)

    failed = _flag(data, "failed")
    if failed and data.get("values"):
        raise bad_request("A failed observation must not have values")
    if not failed and data.get("values") is None:
        raise bad_request("Either values or failed must be given")
    values = [] if failed else _values(experiment, data["values"])
    kept = {
        "created": unix_now(),
        "failed": failed,
        "metadata": validation.metadata(data.get("metadata")),
        "suggestion": None if point is None else str(point.id),
        "values": values,
    }
    if failed:
        return _Report(point, assignments, Finish(TrialState.FAIL, {OBSERVATION_ATTR: kept}))
    measured = {value["name"]: value["value"] for value in values}
    finish = Finish(
        TrialState.COMPLETE,
        {OBSERVATION_ATTR: kept},
        tuple(experiment.objectives(measured)),
        tuple(experiment.violations(measured)),
    )
    return _Report(point, assignments, finish)


def _values(experiment: ExperimentDescription, value: Any) -> list[JsonObject]:
    """Checked values of all metrics, sorted by metric name."""
    found: dict[str | None, JsonObject] = {}
    names = [metric.name for metric in experiment.metrics]
    for entry in validation.array(value, "values"):
        raw = validation.object_(entry, "values[]")
        validation.check_keys(raw, ("name", "value", "value_stddev", "object"), "value")
        # A single metric goes without saying.
        name = names[0] if raw.get("name") is None and len(names) == 1 else raw.get("name")
        if name not in names:
            shown = validation.show(name)
            raise bad_request(f"No metric {shown}; values must name {', '.join(map(str, names))}")
        if name in found:
            raise bad_request(f"values names the metric {name} twice")
        found[name] = {
            "name": name,
            "value": validation.number(validation.required(raw, "value"), f"value of {name}"),
            "value_stddev": _stddev(raw.get("value_stddev"), name),
        }
    missing = [str(name) for name in names if name not in found]
    if missing:
        raise bad_request(f"values must name every metric, missing: {', '.join(missing)}")
    return [found[name] for name in names]


def _suggestion(history: History, suggestion_id: Any) -> Point | None:
    """The point that a suggestion's id stands for: an integer, or its digits."""
    if isinstance(suggestion_id, bool) or not isinstance(suggestion_id, (int, str)):
        raise bad_request(
            f"Invalid type for suggestion: expected an id, got {validation.show(suggestion_id)}"
        )
    text = str(suggestion_id)
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return history.point(int(text))


def _flag(data: JsonObject, key: str) -> bool:
    value = data.get(key)
    return False if value is None else validation.boolean(value, key)


def _stddev(value: Any, name: str | None) -> float | None:
    if value is None:
        return None
    stddev = validation.number(value, f"value_stddev of {name}")
    if stddev < 0:
        raise bad_request(f"value_stddev of {name} must not be negative, got {stddev}")
    return stddev


def _no_suggestion(suggestion_id: Any, study_id: int) -> ApiError:
    shown = suggestion_id if len(str(suggestion_id)) <= 60 else validation.show(suggestion_id)
    return bad_request(f"No suggestion: {shown} for experiment: {study_id}")
