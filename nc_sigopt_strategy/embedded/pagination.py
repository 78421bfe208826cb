"""Lists that are too long for one answer: newest first, with markers to go on from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from nc_sigopt_strategy.embedded import validation
from nc_sigopt_strategy.embedded.api_error import bad_request

MAX_LIMIT = 1000
PAGING_KEYS = ("limit", "before", "after")

_Item = TypeVar("_Item")


def paginate(
    items: Sequence[tuple[int, _Item]],
    query: Mapping[str, Any],
    build: Callable[[int, _Item], dict[str, Any]],
) -> dict[str, Any]:
    """One page.

    Args:
        items: Pairs of a number and an item. The numbers grow with age's opposite: the newest
            item has the largest one.
        query: ``limit`` (0 to 1000), ``before`` (a marker: older items), ``after`` (newer).
        build: Makes the JSON of an item on the page.
    """
    limit = MAX_LIMIT
    if query.get("limit") is not None:
        limit = validation.query_integer(query["limit"], "limit")
    if not 0 <= limit <= MAX_LIMIT:
        raise bad_request(f"limit must be from 0 to {MAX_LIMIT}, got {limit}")
    before, after = _marker(query, "before"), _marker(query, "after")
    if before is not None and after is not None:
        raise bad_request("Only one of before and after may be given")

    newest_first = sorted(items, key=lambda item: item[0], reverse=True)
    if before is not None:
        selected = [item for item in newest_first if item[0] < before][:limit]
    elif after is not None:
        newer = [item for item in newest_first if item[0] > after]
        selected = newer[max(0, len(newer) - limit) :]
    else:
        selected = newest_first[:limit]

    older_left = bool(selected) and selected[-1][0] > newest_first[-1][0]
    newer_left = bool(selected) and selected[0][0] < newest_first[0][0]
    return {
        "object": "pagination",
        "count": len(items),
        "data": [build(number, item) for number, item in selected],
        "paging": {
            "before": str(selected[-1][0]) if older_left else None,
            "after": str(selected[0][0]) if newer_left else None,
        },
    }


def _marker(query: Mapping[str, Any], key: str) -> int | None:
    if query.get(key) is None:
        return None
    return validation.query_integer(query[key], key)
