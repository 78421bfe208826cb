"""What a request to observe says: checked, and turned into how a trial ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import ApiError, bad_request
from nc_sigopt_strategy.engine.context import JsonObject, unix_now
from nc_sigopt_strategy.engine.database.trial_writer import Finish
from nc_sigopt_strategy.engine.history.description import ExperimentDescription
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.history.point import OBSERVATION_ATTR, Point
from nc_sigopt_strategy.engine.routes.experiment_rules import MAX_DOUBLE
from nc_sigopt_strategy.engine.store import StoredExperiment

REPORT_KEYS = ("suggestion", "assignments", "values", "failed", "metadata", "no_optimize")


@dataclass(frozen=True)
class Report:
    """A checked request to observe.

    Attributes:
        point: The suggestion; ``None`` when assignments were given.
        assignments: Parameter name to value.
        finish: How the trial ends.
    """

    point: Point | None
    assignments: dict[str, Any]
    finish: Finish


def new_report(data: JsonObject, stored: StoredExperiment, history: History) -> Report:
    """The observation that a body describes.

    Raises:
        ApiError: 400.
    """
    experiment = stored.experiment
    validation.check_keys(data, REPORT_KEYS)
    flag(data, "no_optimize")
    suggestion_id, given = data.get("suggestion"), data.get("assignments")
    if (suggestion_id is None) == (given is None):
        raise bad_request("Exactly one of suggestion and assignments must be given")
    point = None
    if suggestion_id is None:
        assignments = experiment.check_assignments(given)
    else:
        point = _suggestion(history, suggestion_id)
        if point is None or point.suggestion is None or point.withdrawn:
            raise no_suggestion(suggestion_id, stored.id)
        assignments = dict(point.assignments)
    kept = {
        "created": unix_now(),
        **_outcome(experiment, data),
        "metadata": validation.metadata(data.get("metadata")),
        "suggestion": None if point is None else str(point.id),
    }
    return Report(point, assignments, finish_of(experiment, kept, numbered=True))


def changed_report(
    data: JsonObject, stored: StoredExperiment, point: Point
) -> tuple[Finish, dict[str, Any] | None]:
    """What an observation becomes by a body with what changes.

    Args:
        data: The body; what it does not name stays.
        stored: The experiment.
        point: The observation.

    Returns:
        How its trial ends now, and its assignments if they change.

    Raises:
        ApiError: 400.
    """
    experiment = stored.experiment
    validation.check_keys(data, REPORT_KEYS)
    flag(data, "no_optimize")
    before = point.observation or {}
    assignments = _changed_assignments(data, stored, before)
    outcome = {
        "failed": data.get("failed", before["failed"]),
        # An observation that failed has no values, which is another thing than an empty list.
        "values": data.get("values", before["values"] or None),
    }
    kept = {**before, "created": unix_now(), **_outcome(experiment, outcome)}
    if "metadata" in data:
        kept["metadata"] = validation.metadata(data["metadata"])
    return finish_of(experiment, kept), assignments


def finish_of(
    experiment: ExperimentDescription, kept: JsonObject, *, numbered: bool = False
) -> Finish:
    """How the trial of an observation ends.

    Args:
        experiment: Its metrics.
        kept: The observation.
        numbered: Whether it has just arrived and gets its id.
    """
    attrs = {OBSERVATION_ATTR: kept}
    name = OBSERVATION_ATTR if numbered else None
    if kept["failed"]:
        return Finish(TrialState.FAIL, attrs, numbered=name)
    measured = {value["name"]: value["value"] for value in kept["values"]}
    return Finish(
        TrialState.COMPLETE,
        attrs,
        tuple(experiment.objectives(measured)),
        tuple(experiment.violations(measured)),
        numbered=name,
    )


def flag(data: JsonObject, key: str) -> bool:
    """A JSON boolean, false where it is missing or null.

    Raises:
        ApiError: 400.
    """
    value = data.get(key)
    if value is not None and not isinstance(value, bool):
        raise bad_request(
            f"Invalid type for {key}: expected a boolean, got {validation.show(value)}"
        )
    return bool(value)


def no_suggestion(suggestion_id: Any, study_id: int) -> ApiError:
    """The refusal to observe a suggestion that is not there."""
    shown = suggestion_id if len(str(suggestion_id)) <= 60 else validation.show(suggestion_id)
    return bad_request(f"No suggestion: {shown} for experiment: {study_id}")


def _outcome(experiment: ExperimentDescription, data: Mapping[str, Any]) -> JsonObject:
    """``failed`` and ``values``, checked."""
    failed = flag(dict(data), "failed")
    if failed and data.get("values"):
        raise bad_request("A failed observation must not have values")
    if not failed and data.get("values") is None:
        raise bad_request("Either values or failed must be given")
    return {"failed": failed, "values": [] if failed else _values(experiment, data["values"])}


def _changed_assignments(
    data: JsonObject, stored: StoredExperiment, before: Mapping[str, Any]
) -> dict[str, Any] | None:
    suggestion = before["suggestion"]
    if data.get("suggestion", suggestion) != suggestion and str(data["suggestion"]) != suggestion:
        raise bad_request(
            "The suggestion of an observation cannot be changed by the embedded engine: delete "
            "the observation and report it again"
        )
    if data.get("assignments") is None:
        return None
    if suggestion is not None:
        raise bad_request("An observation of a suggestion has the suggestion's assignments")
    return stored.experiment.check_assignments(data["assignments"])


def _values(experiment: ExperimentDescription, value: Any) -> list[JsonObject]:
    """Checked values of all metrics, sorted by metric name."""
    found: dict[str | None, JsonObject] = {}
    names = [metric.name for metric in experiment.metrics]
    for entry in validation.array(value, "values"):
        raw = validation.object_(entry, "values[]")
        validation.check_keys(raw, ("name", "value", "value_stddev"), "value")
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


def _stddev(value: Any, name: str | None) -> float | None:
    if value is None:
        return None
    stddev = validation.number(value, f"value_stddev of {name}")
    if stddev < 0:
        raise bad_request(f"value_stddev of {name} must not be negative, got {stddev}")
    if stddev > MAX_DOUBLE:
        raise bad_request(f"value_stddev of {name} must be at most {MAX_DOUBLE:g}, got {stddev}")
    return stddev
