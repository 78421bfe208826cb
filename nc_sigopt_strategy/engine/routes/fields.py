"""``fields``: which parts of an answer are wanted."""

from __future__ import annotations

from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request

JsonObject = dict[str, Any]


def read_fields(value: Any) -> set[str] | None:
    """The names in a list that is separated by commas; ``None`` for all.

    Raises:
        ApiError: 400, it is no such list.
    """
    if value is None:
        return None
    return {name.strip() for name in validation.text(value, "fields").split(",")}


def select_fields(answer: JsonObject, fields: set[str] | None) -> JsonObject:
    """The answer with these fields only, and ``object``; of a page, the items with them.

    Raises:
        ApiError: 400, it has no such field.
    """
    if fields is None:
        return answer
    if answer.get("object") == "pagination":
        return {**answer, "data": [_select(item, fields) for item in answer["data"]]}
    return _select(answer, fields)


def _select(document: JsonObject, fields: set[str]) -> JsonObject:
    unknown = sorted(fields - document.keys())
    if unknown:
        named = ", ".join(validation.show(name) for name in unknown[:10])
        raise bad_request(f"Unknown fields: {named}. Known ones: {', '.join(sorted(document))}.")
    return {key: value for key, value in document.items() if key in fields or key == "object"}
