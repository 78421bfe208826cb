"""Lists that are too long for one answer: by default newest first, with markers to go on from."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request

MAX_LIMIT = 1000
PAGING_KEYS = ("limit", "before", "after")


class HasId(Protocol):
    """Something with a unique number."""

    @property
    def id(self) -> int:
        """The number; the newest item has the largest one."""


_Item = TypeVar("_Item", bound=HasId)


@dataclass(frozen=True)
class Page(Generic[_Item]):
    """A part of a list.

    Attributes:
        items: The items on it.
        count: How many the whole list has.
        before: Marker for the items that follow; ``None`` if there are none.
        after: Marker for the items that come earlier in the list.
    """

    items: list[_Item]
    count: int
    before: str | None
    after: str | None

    def document(self, build: Callable[[_Item], dict[str, Any]]) -> dict[str, Any]:
        """The JSON of the page; ``build`` makes that of an item."""
        return {
            "object": "pagination",
            "count": self.count,
            "data": [build(item) for item in self.items],
            "paging": {"before": self.before, "after": self.after},
        }


def paginate(
    items: Sequence[_Item],
    query: Mapping[str, Any],
    *,
    ascending: bool = False,
    by_id: bool = True,
) -> Page[_Item]:
    """One page.

    A marker is the id of an item, and going on from it means going on from where that item
    stands now.

    Args:
        items: All items, ascending.
        query: ``limit`` (0 to 1000), ``before`` (a marker: what follows in the list as it is
            shown), ``after`` (what comes earlier).
        ascending: Whether they are shown in this order; otherwise the last one comes first.
        by_id: Whether they ascend by id. Then a marker need not be among them any more.

    Raises:
        ApiError: 400.
    """
    limit = _limit(query)
    before, after = _marker(query, "before"), _marker(query, "after")
    if before is not None and after is not None:
        raise bad_request("Only one of before and after may be given")

    count = len(items)
    # The part of ``items`` that the marker leaves.
    start, stop = 0, count
    marker = before if before is not None else after
    if marker is not None:
        low, high = _around(items, marker, by_id=by_id)
        if (before is not None) == ascending:
            start = high
        else:
            stop = low
    # The page is the end of that part which is next to the marker, or the beginning of the list.
    if ascending == (after is None):
        stop = min(stop, start + limit)
    else:
        start = max(start, stop - limit)
    shown = list(items[start:stop])
    earlier_left, later_left = start > 0, stop < count
    if not ascending:
        shown.reverse()
        earlier_left, later_left = later_left, earlier_left
    return Page(
        items=shown,
        count=count,
        before=str(shown[-1].id) if shown and later_left else None,
        after=str(shown[0].id) if shown and earlier_left else None,
    )


def _limit(query: Mapping[str, Any]) -> int:
    limit = MAX_LIMIT
    if query.get("limit") is not None:
        limit = validation.query_integer(query["limit"], "limit")
    if not 0 <= limit <= MAX_LIMIT:
        raise bad_request(f"limit must be from 0 to {MAX_LIMIT}, got {limit}")
    return limit


def _around(items: Sequence[HasId], marker: int, *, by_id: bool) -> tuple[int, int]:
    """How many items come before the marked one, and how many up to and including it."""
    if by_id:
        low = bisect.bisect_left(items, marker, key=lambda item: item.id)
        return low, low + (low < len(items) and items[low].id == marker)
    for index, item in enumerate(items):
        if item.id == marker:
            return index, index + 1
    raise bad_request(f"No item {marker} in this list to go on from")


def _marker(query: Mapping[str, Any], key: str) -> int | None:
    if query.get(key) is None:
        return None
    return validation.query_integer(query[key], key)
