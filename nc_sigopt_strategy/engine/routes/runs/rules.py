"""What the body of a request says of a run, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request

JsonObject = dict[str, Any]

STATES = ("active", "completed", "failed")
FINISHED = ("completed", "failed")
SUGGESTED = "SigOpt"
MAX_SOURCE_LENGTH = 30
MAX_LOG_LENGTH = 1124
_MAX_SCORES, _MAX_SCORE_NAME = 50, 100


def checked(data: Mapping[str, Any], *, creates: bool) -> JsonObject:
    """The keys of a request and their values as they are kept.

    Args:
        data: The body.
        creates: Whether it makes a run, and does not change one.

    Raises:
        ApiError: 400.
    """
    known = _CHECKS.keys() if creates else (*_CHECKS, "project")
    unknown = sorted(data.keys() - set(known))
    if unknown:
        named = ", ".join(validation.show(key) for key in unknown[:10])
        raise bad_request(f"Unknown parameters: {{{named}}}")
    found = {key: check(data[key]) for key, check in _CHECKS.items() if key in data}
    if creates and data.get("name") is None:
        raise bad_request("Missing required param: name")
    for key in ("name", "state", "project"):
        if key in data and data[key] is None:
            raise bad_request(
                f"{key} cannot be `null`" if creates else f"Cannot remove {key} from a run"
            )
    if "project" in data:
        found["project"] = validation.text(data["project"], "project")
    return found


def check_meta(meta: Mapping[str, Any], assignments: Mapping[str, Any]) -> None:
    """Refuse to say something of an assignment that is not there.

    Raises:
        ApiError: 400.
    """
    unknown = sorted(meta.keys() - assignments.keys())
    if unknown:
        raise bad_request(
            f"assignments_meta names {validation.show(unknown[0])}, which is no assignment of "
            "the run"
        )


def numbers_and_texts(value: Any, what: str) -> JsonObject:
    """A map within SigOpt's rules of metadata; whole numbers are integers."""
    entries = {} if value is None else validation.metadata(value, what) or {}
    return {key: _as_integer(entry) for key, entry in entries.items()}


def _as_integer(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _name(value: Any) -> str:
    text = "" if value is None else validation.text(value, "name")
    if value is not None and not text.strip():
        raise bad_request("Invalid name: cannot be empty")
    return text


def _state(value: Any) -> Any:
    if value is not None and value not in STATES:
        shown = value if isinstance(value, str) else validation.show(value)
        raise bad_request(f"Invalid state: {shown[:60]}")
    return value


def _metadata(value: Any) -> JsonObject | None:
    return None if value is None else numbers_and_texts(value, "metadata")


def _values(value: Any) -> JsonObject:
    return {name: _value(entry, name) for name, entry in _map(value, "values").items()}


def _value(entry: Any, name: str) -> JsonObject:
    what = f"values.{name}"
    raw = validation.object_(entry, what)
    validation.check_keys(raw, ("value", "value_stddev", "name", "object"), what)
    stddev = raw.get("value_stddev")
    if stddev is not None and validation.number(stddev, f"{what}.value_stddev") < 0:
        raise bad_request(f"{what}.value_stddev must not be negative, got {stddev}")
    return {
        "value": validation.number(validation.required(raw, "value"), f"{what}.value"),
        "value_stddev": None if stddev is None else float(stddev),
    }


def _logs(value: Any) -> JsonObject:
    found = {}
    for stream, entry in _map(value, "logs").items():
        raw = validation.object_(entry, f"logs.{stream}")
        content = validation.text(validation.required(raw, "content"), f"logs.{stream}.content")
        found[stream] = {"content": content[:MAX_LOG_LENGTH]}
    return found


def _datasets(value: Any) -> JsonObject:
    entries = _map(value, "datasets")
    for name, entry in entries.items():
        validation.object_(entry, f"datasets.{name}")
    return {name: {} for name in entries}


def _meta(value: Any) -> JsonObject:
    found = {}
    for name, entry in _map(value, "assignments_meta").items():
        what = f"assignments_meta.{name}"
        raw = validation.object_(entry, what)
        validation.check_keys(raw, ("source", "object"), what)
        source = raw.get("source")
        if source is not None:
            source = validation.name(source, f"{what}.source", MAX_SOURCE_LENGTH)
            if source == SUGGESTED:
                raise bad_request(f"The source {SUGGESTED} is SigOpt's own: {what}")
        found[name] = {"source": source}
    return found


def _sources(value: Any) -> JsonObject:
    found = {}
    for source, entry in _map(value, "assignments_sources").items():
        validation.name(source, "assignments_sources", MAX_SOURCE_LENGTH)
        what = f"assignments_sources.{source}"
        raw = validation.object_(entry, what)
        validation.check_keys(raw, ("sort", "default_show", "object"), what)
        found[source] = {
            "sort": _as_integer(validation.number(validation.required(raw, "sort"), what)),
            "default_show": _flag(validation.required(raw, "default_show"), what),
        }
    return found


def _sys_metadata(value: Any) -> JsonObject:
    raw = _map(value, "sys_metadata")
    validation.check_keys(raw, ("feature_importances",), "sys_metadata")
    if raw.get("feature_importances") is None:
        return {}
    what = "sys_metadata.feature_importances"
    importances = validation.object_(raw["feature_importances"], what)
    validation.check_keys(importances, ("type", "scores"), what)
    scores = validation.object_(validation.required(importances, "scores"), f"{what}.scores")
    if len(scores) > _MAX_SCORES:
        raise bad_request(f"{what} has at most {_MAX_SCORES} scores, got {len(scores)}")
    return {
        "feature_importances": {
            "type": validation.text(validation.required(importances, "type"), f"{what}.type"),
            "scores": {
                validation.name(name, what, _MAX_SCORE_NAME): validation.number(score, what)
                for name, score in scores.items()
            },
        }
    }


def _texts(*keys: str) -> Callable[[Any], JsonObject]:
    """Checks an object of texts, each of which may be null."""

    def check(value: Any) -> JsonObject:
        raw = _map(value, "/".join(keys))
        validation.check_keys(raw, (*keys, "object"), "/".join(keys))
        return {
            key: None if raw[key] is None else validation.text(raw[key], key)
            for key in keys
            if key in raw
        }

    return check


def _map(value: Any, what: str) -> JsonObject:
    return {} if value is None else validation.object_(value, what)


def _flag(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise bad_request(
            f"Invalid type for {what}: expected a boolean, got {validation.show(value)}"
        )
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "state": _state,
    "assignments": lambda value: numbers_and_texts(value, "assignments"),
    "assignments_meta": _meta,
    "assignments_sources": _sources,
    "values": _values,
    "metadata": _metadata,
    "dev_metadata": lambda value: numbers_and_texts(value, "dev_metadata"),
    "sys_metadata": _sys_metadata,
    "datasets": _datasets,
    "logs": _logs,
    "model": _texts("type"),
    "source_code": _texts("content", "hash"),
    "favorite": lambda value: _flag(value, "favorite"),
    "deleted": lambda value: _flag(value, "deleted"),
}
