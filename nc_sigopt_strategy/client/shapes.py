"""What SigOpt's objects look like, as far as anything here reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Check = Callable[[Any], bool]

_MOST_DIGITS = 18
# The last name in a path, ids left out -> what the answer is, or what a list of them holds.
_KINDS = {
    "experiments": "experiment",
    "aiexperiments": "aiexperiment",
    "suggestions": "suggestion",
    "observations": "observation",
    "best_assignments": "best_assignments",
    "training_runs": "training_run",
    "best_training_runs": "training_run",
    "projects": "project",
    "tokens": "token",
}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    """Whether it is an integer from 0, and small enough for one that counts something."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def is_id(value: Any) -> bool:
    """Whether it is a number as SigOpt's ids are, mostly in a string."""
    text = str(value) if is_count(value) else value
    if not isinstance(text, str) or len(text) > _MOST_DIGITS:
        return False
    return text.isascii() and text.isdigit()


def _is_name_or_number(value: Any) -> bool:
    return _is_text(value) or _is_number(value)


def _is_flat(value: Any) -> bool:
    """Whether it is an object of text, numbers, flags and nulls: assignments, or metadata."""
    return isinstance(value, Mapping) and all(
        entry is None or isinstance(entry, (str, int, float)) for entry in value.values()
    )


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _with(fields: Mapping[str, Check]) -> Check:
    return lambda value: isinstance(value, Mapping) and _wrong_field(value, fields) is None


def _wrong_field(document: Mapping[str, Any], fields: Mapping[str, Check]) -> str | None:
    return next((key for key, check in fields.items() if not check(document.get(key))), None)


_METRIC = {
    "name": _is_text,
    "objective": _or_none(_is_text),
    "strategy": _or_none(_is_text),
    "threshold": _or_none(_is_number),
}
_PARAMETER = {
    "name": _is_text,
    "type": _or_none(_is_text),
    "categorical_values": _or_none(_list_of(_with({"name": _is_text}))),
}
_VALUE = {
    "name": _is_text,
    "value": _or_none(_is_number),
    "value_stddev": _or_none(_is_number),
}
_EXPERIMENT: dict[str, Check] = {
    "id": is_id,
    "name": _or_none(_is_text),
    "state": _or_none(_is_text),
    "project": _or_none(_is_text),
    "client": _or_none(_is_name_or_number),
    "metrics": _list_of(_with(_METRIC)),
    "parameters": _list_of(_with(_PARAMETER)),
    "parallel_bandwidth": _or_none(is_count),
    "observation_budget": _or_none(is_count),
    "created": _or_none(is_count),
    "metadata": _or_none(_is_flat),
    "progress": _or_none(_with({"observation_count": _or_none(is_count)})),
}
_FIELDS: dict[str, dict[str, Check]] = {
    "experiment": _EXPERIMENT,
    "aiexperiment": _EXPERIMENT,
    "suggestion": {
        "id": is_id,
        "assignments": _is_flat,
        "state": _or_none(_is_text),
        "metadata": _or_none(_is_flat),
        "number": _or_none(is_count),
    },
    "observation": {
        "id": is_id,
        "assignments": _is_flat,
        "values": _or_none(_list_of(_with(_VALUE))),
        "failed": _or_none(_is_flag),
        "suggestion": _or_none(is_id),
        "created": _or_none(is_count),
        "metadata": _or_none(_is_flat),
    },
    "best_assignments": {"assignments": _is_flat},
    "training_run": {"id": is_id, "name": _or_none(_is_text)},
    "project": {"id": _is_name_or_number, "deleted": _or_none(_is_flag)},
    "token": {
        "client": _or_none(_is_name_or_number),
        "permissions": _or_none(_is_text),
        "engine": _or_none(_is_text),
    },
}


def problem_with(path: Sequence[str | int], document: Mapping[str, Any]) -> str | None:
    """What is wrong with an object that answers a request; ``None`` where it can be read.

    Args:
        path: Of the request.
        document: The answer, or an entry of a list; kinds that nothing reads may be anything.
    """
    names, ids = path[::2], path[1::2]
    kind = _KINDS.get(str(names[-1]))
    if kind is None:
        return None
    if document.get("object") != kind:
        return f"it is no {kind}"
    wrong = _wrong_field(document, _FIELDS[kind])
    if wrong is not None:
        return f"the {kind}'s {wrong} is none"
    asked = ids[-1] if len(ids) == len(names) else None
    if asked is not None and kind != "token" and str(document["id"]) != str(asked):
        # "batch" stands where an id does.
        return None if asked == "batch" else f"it is another {kind} than was asked for"
    return None
