"""Whether an answer is as it is known to be.

What is known is written as JSON of which the answer may hold more: an object lists the keys that
matter, a list all of its items in order. In place of a value may stand

    <string> <integer> <number> <boolean> <object> <array>   any value of that JSON type
    <anything>                                               any value, also null
    <absent>                                                 the key is not there

and an object that has one of these keys says something of the whole:

    <keys>: [...]      these keys and no others, except extensions
    <each>: ...        every item of a list
    <length>: 3        the number of items of a list
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from nc_sigopt_benchmarks.research.server_facts.difference import (
    EXTENSIONS,
    KEYS,
    STATUS,
    TYPES,
    VALUES,
    Difference,
    inside,
    json_type,
    shown,
)
from nc_sigopt_benchmarks.research.server_facts.step import Expected

_TYPES = ("string", "integer", "number", "boolean", "object", "array")
_ABSENT, _ANYTHING = "<absent>", "<anything>"
_ALL_KEYS, _EACH, _LENGTH = "<keys>", "<each>", "<length>"


def mismatches(
    expected: Expected, status: int, answer: Any, extensions: Collection[str] = EXTENSIONS
) -> list[Difference]:
    """What of an answer is not as it is known to be.

    Args:
        expected: What is known, all names in it replaced.
        status: HTTP status code of the answer.
        answer: Its JSON.
        extensions: Keys that may be there beside all known ones.
    """
    if expected.status != status:
        return [Difference(STATUS, "", str(expected.status), f"{status} {_message(answer)}")]
    if expected.answer is None:
        return []
    return list(_compare(expected.answer, answer, "", extensions))


def _message(answer: Any) -> str:
    return shown(answer.get("message", "")) if isinstance(answer, dict) else ""


def _compare(
    known: Any, got: Any, where: str, extensions: Collection[str]
) -> Iterator[Difference]:
    if isinstance(known, str) and known.startswith("<") and known.endswith(">"):
        yield from _compare_type(known, got, where)
    elif isinstance(known, dict) and (_EACH in known or _LENGTH in known):
        yield from _compare_items(known, got, where, extensions)
    elif json_type(known) != json_type(got) and not _both_numbers(known, got):
        yield Difference(TYPES, where, shown(known), shown(got))
    elif isinstance(known, dict):
        yield from _compare_object(known, got, where, extensions)
    elif isinstance(known, list):
        if len(known) != len(got):
            yield Difference(VALUES, where, f"{len(known)} items", f"{len(got)} items")
        for position, (one, other) in enumerate(zip(known, got, strict=False)):
            yield from _compare(one, other, inside(where, position), extensions)
    elif known != got:
        yield Difference(VALUES, where, shown(known), shown(got))


def _compare_type(known: str, got: Any, where: str) -> Iterator[Difference]:
    if known == _ANYTHING:
        return
    wanted, found = known[1:-1], json_type(got)
    if wanted not in _TYPES:
        raise ValueError(f"{known} is no type that an answer can have")
    if wanted != found and not (wanted == "number" and found == "integer"):
        yield Difference(TYPES, where, known, shown(got))


def _compare_items(
    known: dict[str, Any], got: Any, where: str, extensions: Collection[str]
) -> Iterator[Difference]:
    if not isinstance(got, list):
        yield Difference(TYPES, where, "<array>", shown(got))
        return
    if known.get(_LENGTH, len(got)) != len(got):
        yield Difference(VALUES, where, f"{known[_LENGTH]} items", f"{len(got)} items")
    if _EACH in known:
        for position, item in enumerate(got):
            yield from _compare(known[_EACH], item, inside(where, position), extensions)


def _compare_object(
    known: dict[str, Any], got: dict[str, Any], where: str, extensions: Collection[str]
) -> Iterator[Difference]:
    for key, entry in known.items():
        if key == _ALL_KEYS:
            missing = sorted(set(entry) - got.keys())
            beside = sorted(got.keys() - set(entry) - set(extensions))
            if missing or beside:
                lacks, more = f"without {missing}" if missing else "", f"and {beside}"
                second = f"{lacks} {more if beside else ''}".strip()
                yield Difference(KEYS, where, "all known keys", second)
        elif entry == _ABSENT:
            if key in got:
                yield Difference(KEYS, inside(where, key), "absent", shown(got[key]))
        elif key not in got:
            yield Difference(KEYS, inside(where, key), shown(entry), "absent")
        else:
            yield from _compare(entry, got[key], inside(where, key), extensions)


def _both_numbers(known: Any, got: Any) -> bool:
    return {json_type(known), json_type(got)} <= {"integer", "number"}
