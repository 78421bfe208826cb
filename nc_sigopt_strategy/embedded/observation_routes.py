"""Routes of observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState

from nc_sigopt_strategy.embedded import documents, validation
from nc_sigopt_strategy.embedded.api_error import ApiError, bad_request, not_found
from nc_sigopt_strategy.embedded.engine import Engine, JsonObject, unix_now
from nc_sigopt_strategy.embedded.model import Experiment
from nc_sigopt_strategy.embedded.pagination import PAGING_KEYS, paginate
from nc_sigopt_strategy.embedded.store import OBSERVATION_ATTR, Point
from nc_sigopt_strategy.embedded.tables import Finish

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
    study_id, experiment = engine.experiment(experiment_id)
    known = {str(point.id): point for point in engine.store.points(study_id)}
    report = _check(data, study_id, experiment, known)
    return _observe(engine, study_id, experiment, report)


def create_observations(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """POST experiments/{experiment}/observations/batch.

    All are checked before the first is stored; each is stored for itself.
    """
    study_id, experiment = engine.experiment(experiment_id)
    validation.check_keys(data, ("observations", "dry_run", "no_optimize"))
    batch = validation.array(validation.required(data, "observations"), "observations")
    if len(batch) > MAX_BATCH:
        raise bad_request(f"A batch has at most {MAX_BATCH} observations, got {len(batch)}")
    known = {str(point.id): point for point in engine.store.points(study_id)}
    reports = [
        _check(validation.object_(entry, "observations[]"), study_id, experiment, known)
        for entry in batch
    ]
    dry_run = validation.boolean(data.get("dry_run") or False, "dry_run")
    stored = [_observe(engine, study_id, experiment, report) for report in reports if not dry_run]
    return {
        "object": "pagination",
        "count": len(stored),
        "data": stored,
        "paging": {"before": None, "after": None},
    }


def list_observations(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/observations."""
    study_id, experiment = engine.experiment(experiment_id)
    validation.check_keys(data, PAGING_KEYS, "query")
    items = [(point.id, point) for point in engine.store.points(study_id) if point.observation]
    return paginate(
        items, data, lambda _, point: documents.observation(study_id, experiment, point)
    )


def fetch_observation(
    engine: Engine, data: JsonObject, experiment_id: str, observation_id: str
) -> JsonObject:
    """GET experiments/{experiment}/observations/{observation}."""
    study_id, experiment = engine.experiment(experiment_id)
    for point in engine.store.points(study_id):
        if str(point.id) == observation_id and point.observation:
            return documents.observation(study_id, experiment, point)
    raise not_found(f"No observation {observation_id} for experiment: {study_id}")


def refuse_update(engine: Engine, data: JsonObject, *ids: str) -> JsonObject:
    """PUT experiments/{experiment}/observations/{observation}: 405."""
    raise ApiError(405, _FINAL.format(what="Changing an observation"))


def refuse_delete(engine: Engine, data: JsonObject, *ids: str) -> JsonObject:
    """DELETE experiments/{experiment}/observations and one of them: 405."""
    raise ApiError(405, _FINAL.format(what="Deleting an observation"))


def _observe(engine: Engine, study_id: int, experiment: Experiment, report: _Report) -> JsonObject:
    point = report.point
    if point is not None and point.is_open and engine.store.finish(point, report.finish):
        observed = Point(
            id=point.id,
            number=point.number,
            assignments=point.assignments,
            suggestion=point.suggestion,
            observation=report.finish.user_attrs[OBSERVATION_ATTR],
            withdrawn=False,
        )
        return documents.observation(study_id, experiment, observed)
    if point is not None:
        # It was observed before, or by another process since it was read: SigOpt allows several
        # observations of a suggestion, so this one is kept beside the first. But another
        # process may also have taken the suggestion back.
        _check_not_withdrawn(engine, study_id, point)
    observed = engine.store.add(study_id, experiment, report.assignments, {}, report.finish)
    return documents.observation(study_id, experiment, observed)


def _check_not_withdrawn(engine: Engine, study_id: int, point: Point) -> None:
    for other in engine.store.points(study_id):
        if other.id == point.id and other.withdrawn:
            raise _no_suggestion(point.id, study_id)


def _check(
    data: JsonObject, study_id: int, experiment: Experiment, known: dict[str, Point]
) -> _Report:
    validation.check_keys(data, _CREATE_KEYS)
    suggestion_id, given = data.get("suggestion"), data.get("assignments")
    if (suggestion_id is None) == (given is None):
        raise bad_request("Exactly one of suggestion and assignments must be given")
    point = None
    if suggestion_id is None:
        assignments = experiment.check_assignments(given)
    else:
        point = known.get(str(suggestion_id))
        if point is None or point.suggestion is None or point.withdrawn:
            raise _no_suggestion(suggestion_id, study_id)
        assignments = dict(point.assignments)

    failed = validation.boolean(data.get("failed") or False, "failed")
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


def _values(experiment: Experiment, value: Any) -> list[JsonObject]:
    """Checked values of all metrics, sorted by metric name."""
    found: dict[str | None, JsonObject] = {}
    names = [metric.name for metric in experiment.metrics]
    for entry in validation.array(value, "values"):
        raw = validation.object_(entry, "values[]")
        validation.check_keys(raw, ("name", "value", "value_stddev", "object"), "value")
        # A single metric goes without saying.
        name = names[0] if raw.get("name") is None and len(names) == 1 else raw.get("name")
        if name not in names:
            raise bad_request(f"No metric {name!r}; values must name {', '.join(map(str, names))}")
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


def _stddev(value: Any, name: str | None) -> float | None:
    if value is None:
        return None
    stddev = validation.number(value, f"value_stddev of {name}")
    if stddev < 0:
        raise bad_request(f"value_stddev of {name} must not be negative, got {stddev}")
    return stddev


def _no_suggestion(suggestion_id: Any, study_id: int) -> ApiError:
    return bad_request(f"No suggestion: {suggestion_id} for experiment: {study_id}")
