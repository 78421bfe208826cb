"""Lists of runs: filtered, sorted, and with the fields that they have."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Sequence
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request
from nc_sigopt_strategy.engine.database.run_tables import StoredRun
from nc_sigopt_strategy.engine.routes.pagination import paginate
from nc_sigopt_strategy.engine.routes.runs import documents
from nc_sigopt_strategy.engine.routes.runs.run_fields import defined_fields, field_of, is_id

JsonObject = dict[str, Any]
Test = Callable[[StoredRun], bool]

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_OPERATORS = ("==", "!=", *_ORDERED, "isnull")


def page_of_runs(runs: Sequence[StoredRun], query: JsonObject) -> JsonObject:
    """A page of runs, with ``defined_fields`` of all that the filters let through.

    Args:
        runs: All, by ascending id.
        query: ``filters`` (a JSON array, all of which must hold), ``search`` (part of the name),
            ``sort`` (a field; runs without it drop out), ``ascending`` and paging.

    Raises:
        ApiError: 400.
    """
    tests = _filters(query.get("filters"))
    search = validation.text(query.get("search") or "", "search").lower()
    if search:
        tests.append(lambda run: search in run.document["name"].lower())
    found = [run for run in runs if all(test(run) for test in tests)] if tests else runs
    key = validation.text(query.get("sort") or "id", "sort")
    field = field_of(key)
    if key != "id":
        found = _sorted([run for run in found if field(run) is not None], field)
    ascending = validation.query_boolean(query.get("ascending", False), "ascending")
    page = paginate(found, query, ascending=ascending, by_id=key == "id")
    return {**page.document(documents.training_run), "defined_fields": defined_fields(found)}


def _sorted(runs: list[StoredRun], field: Callable[[StoredRun], Any]) -> list[StoredRun]:
    """By a field whose values may be numbers in one run and texts in another: numbers first."""

    def key(run: StoredRun) -> tuple[bool, Any, int]:
        value = field(run)
        return isinstance(value, str), value, run.id

    return sorted(runs, key=key)


def _filters(text: Any) -> list[Test]:
    if text is None:
        return []
    try:
        raw = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError) as error:
        raise bad_request(f"filters is not JSON: {error}") from None
    validation.check_json(raw, "filters")
    return [_filter(validation.object_(entry, "filters[]")) for entry in
            validation.array(raw, "filters")]  # fmt: skip


def _filter(raw: JsonObject) -> Test:
    validation.check_keys(raw, ("field", "operator", "value"), "filter")
    key = validation.text(validation.required(raw, "field"), "field")
    which = validation.one_of(validation.required(raw, "operator"), _OPERATORS, "operator")
    field = field_of(key)
    if which == "isnull":
        return lambda run: field(run) is None
    if key == "state" and which != "==":
        raise bad_request(f"state is compared with == only, not {which}")
    value = _wanted(key, validation.required(raw, "value"))
    if which in ("==", "!="):
        same = which == "=="
        return lambda run: (field(run) == value) == same
    compare = _ORDERED[which]

    def test(run: StoredRun) -> bool:
        found = field(run)
        if found is None or isinstance(found, str) != isinstance(value, str):
            return False
        return compare(found, value)

    return test


def _wanted(key: str, value: Any) -> Any:
    if not isinstance(value, (str, int, float)):
        raise bad_request(f"Invalid value of a filter of {key}: {validation.show(value)}")
    if is_id(key) and isinstance(value, str):
        return validation.query_integer(value, key)
    return value
