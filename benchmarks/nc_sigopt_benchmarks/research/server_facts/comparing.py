"""The answers of two servers to one request, held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nc_sigopt_benchmarks.research.server_facts.difference import (
    EXTENSIONS,
    FORM,
    KEYS,
    STATUS,
    TYPES,
    VALUES,
    Difference,
    inside,
    json_type,
    shown,
)
from nc_sigopt_benchmarks.research.server_facts.exchange import Exchange

# No two servers have the same here; what counts is that it is there, and its type.
_OWN = frozenset({
    "created", "updated", "completed", "message", "token", "before", "after", "client",
    "organization", "user", "expires", "upload",
})  # fmt: skip
# Ids are numbered by each server; two are the same if they were kept under the same name.
_IDS = frozenset({
    "id", "experiment", "suggestion", "observation", "queued_suggestion", "training_run",
})  # fmt: skip

# Who made a thing is a user on one server and nobody on another.
_FREE = frozenset({"user"})


def differences(first: Exchange, second: Exchange) -> list[Difference]:
    """What sets the answers of two servers apart.

    Times, messages and markers count by their types only, ids by what they were kept as. Of many
    items of a list that differ in the same way the first is told.

    Args:
        first: A step and the first server's answer.
        second: The same step and the second one's.
    """
    one, other = first.answer, second.answer
    if one is None or other is None or one.status != other.status:
        if one is other:  # sent to neither
            return []
        return [Difference(STATUS, "", outcome(first), outcome(second))]
    found: dict[tuple[str, str], Difference] = {}
    for difference in _Comparison(first, second).apart(one.body, other.body, "", ""):
        found.setdefault((difference.kind, _without_positions(difference.where)), difference)
    return list(found.values())


def outcome(exchange: Exchange) -> str:
    """How a request ended, in a few words."""
    if exchange.answer is None:
        return f"not sent ({exchange.problem})"
    body = exchange.answer.body
    message = body.get("message") if isinstance(body, dict) else None
    return f"{exchange.answer.status}{'' if message is None else ' ' + shown(message)}"


class _Comparison:
    def __init__(self, first: Exchange, second: Exchange) -> None:
        self._vary = first.step.vary
        self._first, self._second = _names_of(first), _names_of(second)

    def apart(self, one: Any, other: Any, where: str, key: str) -> Iterator[Difference]:
        if json_type(one) != json_type(other):
            if _means_the_same(one, other) or key in _FREE:
                yield Difference(FORM, where, shown(one), shown(other))
            else:
                yield Difference(TYPES, where, shown(one), shown(other))
        elif isinstance(one, dict):
            yield from self._objects_apart(one, other, where)
        elif isinstance(one, list):
            if len(one) != len(other):
                yield Difference(VALUES, where, f"{len(one)} items", f"{len(other)} items")
            for position, (item, its_like) in enumerate(zip(one, other, strict=False)):
                yield from self.apart(item, its_like, inside(where, position), key)
        elif key not in _OWN and not self._same(key, one, other):
            yield Difference(VALUES, where, self._shown(key, one, 0), self._shown(key, other, 1))

    def _objects_apart(
        self, one: dict[str, Any], other: dict[str, Any], where: str
    ) -> Iterator[Difference]:
        for key in sorted(one.keys() | other.keys()):
            if key not in one or key not in other:
                has = (shown(side[key]) if key in side else "absent" for side in (one, other))
                yield Difference(FORM if key in EXTENSIONS else KEYS, inside(where, key), *has)
            elif key not in self._vary:
                yield from self.apart(one[key], other[key], inside(where, key), key)

    def _same(self, key: str, one: Any, other: Any) -> bool:
        if key not in _IDS:
            return bool(one == other)
        names, others = self._first.get(one, set()), self._second.get(other, set())
        return bool(names & others) if names or others else True

    def _shown(self, key: str, value: Any, server: int) -> str:
        names = (self._first, self._second)[server].get(value) if key in _IDS else None
        return f"{{{'|'.join(sorted(names))}}}" if names else shown(value)


def _names_of(exchange: Exchange) -> dict[Any, set[str]]:
    names: dict[Any, set[str]] = {}
    for name, value in exchange.kept.items():
        if isinstance(value, (str, int)):
            names.setdefault(value, set()).add(name)
    return names


def _means_the_same(one: Any, other: Any) -> bool:
    """Whether two values of two types say one thing to a program: 1 and 1.0, null and false."""
    if {json_type(one), json_type(other)} == {"integer", "number"}:
        return bool(one == other)
    return {json_type(one), json_type(other)} == {"null", "boolean"} and not (one or other)


def _without_positions(where: str) -> str:
    return ".".join("*" if part.isdigit() else part for part in where.split("."))
