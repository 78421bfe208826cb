"""Lists of many pages, read to an end that the server cannot put off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nc_sigopt_strategy.client.checked_driver import UnusableAnswer

MOST_OBJECTS = 100_000
# What is read may be kept, so it is bounded too: characters of Python's, some five bytes each.
MOST_CHARACTERS = 256 * 1024 * 1024


def all_pages(first: Any) -> Iterator[Any]:
    """All objects of a list, the pages that follow its first one included.

    Pages go on from what was read to what was there before it, so that there are never more
    objects than the list had at first.

    Args:
        first: The first page, as the client returned it.

    Raises:
        UnusableAnswer: The server says that there are more objects than anybody has, or there
            are more than it said, or they are far too large.
        sigopt.exception.SigOptException: A request failed.
    """
    most = int(first.count)
    if most > MOST_OBJECTS:
        raise UnusableAnswer(f"The server says that a list has {most} objects.")
    characters = 0
    for number, found in enumerate(first.iterate_pages(), start=1):
        if number > most:
            raise UnusableAnswer(f"A list of {most} objects does not end after them.")
        characters += len(repr(found.to_json()))
        if characters > MOST_CHARACTERS:
            raise UnusableAnswer("A list's objects are far larger than SigOpt's are.")
        yield found
