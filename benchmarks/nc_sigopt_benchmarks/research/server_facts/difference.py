"""What sets two answers apart, and of what kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# From what breaks every program to what breaks none: the same thing said otherwise.
STATUS, KEYS, TYPES, VALUES, FORM = "status", "keys", "types", "values", "form"
KINDS = (STATUS, KEYS, TYPES, VALUES, FORM)
# Keys that this project's server adds to answers: a suggestion's place, the token's engine.
EXTENSIONS = frozenset({"number", "engine"})
_SHOWN = 90


@dataclass(frozen=True)
class Difference:
    """One difference between two answers, or between an answer and what is known of it.

    Attributes:
        kind: One of ``KINDS``.
        where: Dotted path in the answer; empty for the answer itself.
        first: What the first one has there, or what was expected.
        second: What the second one has there.
    """

    kind: str
    where: str
    first: str
    second: str

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{self.kind}: {where}{self.first} -> {self.second}"


def json_type(value: Any) -> str:
    """The JSON type of a value; ``1`` is an integer and ``1.0`` a number."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def shown(value: Any) -> str:
    """A short picture of a JSON value, ``nothing`` for a key that is not there."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def inside(where: str, key: str | int) -> str:
    """The path of what stands at a key, or at a position in a list."""
    return f"{where}.{key}" if where else str(key)
