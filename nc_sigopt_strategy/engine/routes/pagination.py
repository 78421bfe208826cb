"""Lists that are too long for one answer: by default newest first, with markers to go on from."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request

MAX_LIMIT = 1000
PAGING_KEYS = ("limit", "before", "after")


_Item = TypeVar("_Item")


def id_of(item: Any) -> int:
    """The id of an item, which is the largest one for the newest item."""
    return int(item.id)


@dataclass(frozen=True)
class Page(Generic[_Item]):
    """A part of a list.

    Attributes:
        items: The items on it.
        count: How many the whole list has.
        before: Marker for the items that follow; ``None`` if there are none.
        after: Marker for items that are newer than those on it, also if there are none yet.
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


def whole_page(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON of a list that is shown whole, whatever the query says."""
    return Page(list(documents), len(documents), None, None).document(dict)


def asks_for_count(query: Mapping[str, Any]) -> bool:
    """Whether nothing of a list is wanted but how many items it has.

    Raises:
        ApiError: 400.
    """
    return _limit(query) == 0 and all(query.get(key) is None for key in ("before", "after"))


def paginate(
    items: Sequence[_Item],
    query: Mapping[str, Any],
    *,
    ascending: bool = False,
    by_id: bool = True,
    id_of: Callable[[_Item], int] = id_of,
) -> Page[_Item]:
    """One page.

    A marker is the id of an item, and going on from it means going on from where that item
    stands now. Unless the list is shown in ascending order, ``before`` and ``after`` ask for what
    stands below and above a marker in ``items``. With both, for what is between.

    The marker ``after`` of a first page is there even though nothing is newer: asking for what
    came after it later on gives what is new. It stays where nothing is.

    In ascending order both markers lead to what follows. SigOpt's own server goes on by ``after``
    there, while its client, which goes through all pages of a list by ``before``, sees the first
    one only.

    Args:
        items: All items, ascending.
        query: ``limit`` (0 to 1000), ``before``, ``after``.
        ascending: Whether they are shown in this order; otherwise the last one comes first.
        by_id: Whether they ascend by id. Then a marker need not be among them any more.
        id_of: The id of an item.

    Raises:
        ApiError: 400.
    """
    limit = _limit(query)
    before, after = _marker(query, "before"), _marker(query, "after")
    if ascending:
        if before is not None and after is not None:
            raise bad_request("Only one of before and after may be given with ascending")
        before, after = None, after if before is None else before
    start, stop = 0, len(items)
    if after is not None:
        start = _around(items, after, by_id, id_of)[1]
    if before is not None:
        stop = max(start, _around(items, before, by_id, id_of)[0])
    # The page is the end of that part which is next to the marker, or the beginning of the list.
    downwards = not ascending and (before is not None or after is None)
    if downwards:
        shown = list(items[max(start, stop - limit) : stop])[::-1]
    else:
        shown = list(items[start : min(stop, start + limit)])
    more = stop - start > len(shown)
    ids = [str(id_of(item)) for item in shown[:1] + shown[-1:]]
    page = functools.partial(Page, count=len(items))
    if ascending:
        marker = ids[1] if ids and more else None
        return page(items=shown, before=marker, after=marker)
    if downwards:
        newest = ids[0] if ids else None
        return page(items=shown, before=ids[1] if ids and more else None, after=newest)
    if not ids:
        return page(items=shown, before=None, after=None if after is None else str(after))
    return page(items=shown[::-1], before=ids[0], after=ids[1] if more else None)


def _limit(query: Mapping[str, Any]) -> int:
    limit = MAX_LIMIT
    if query.get("limit") is not None:
        limit = validation.query_integer(query["limit"], "limit")
    if not 0 <= limit <= MAX_LIMIT:
        raise bad_request(f"limit must be from 0 to {MAX_LIMIT}, got {limit}")
    return limit


def _around(
    items: Sequence[_Item], marker: int, by_id: bool, id_of: Callable[[_Item], int]
) -> tuple[int, int]:
    """How many items come before the marked one, and how many up to and including it."""
    if by_id:
        low = bisect.bisect_left(items, marker, key=id_of)
        return low, low + (low < len(items) and id_of(items[low]) == marker)
    for index, item in enumerate(items):
        if id_of(item) == marker:
            return index, index + 1
    raise bad_request(f"No item {marker} in this list to go on from")


def _marker(query: Mapping[str, Any], key: str) -> int | None:
    if query.get(key) is None:
        return None
    return validation.query_integer(query[key], key)
