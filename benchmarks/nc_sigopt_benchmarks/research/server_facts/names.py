"""Names in requests: ``{experiment}`` stands for what an earlier answer was kept as."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.errors import SigOptStrategyError

_NAME = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
# {a*101} is the letter 101 times; k{1..101} as a key or an item of a list is that many of them.
_REPEATED = re.compile(r"\{(.)\*(\d+)\}")
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


class UnknownNameError(SigOptStrategyError):
    """A request needs what no answer so far gave."""


def filled_in(value: Any, kept: Mapping[str, Any]) -> Any:
    """A JSON value in which all names are replaced.

    A text that is nothing but one name becomes what was kept, of whatever type that is.

    Args:
        value: JSON, not changed.
        kept: Name to value.

    Raises:
        UnknownNameError: A name was not kept.
    """
    if isinstance(value, str):
        return _text(value, kept)
    if isinstance(value, list):
        items = [entry for item in value for entry in _ranged(item)]
        return [filled_in(item, kept) for item in items]
    if isinstance(value, dict):
        entries = {name: entry for key, entry in value.items() for name in _ranged(key)}
        return {_text(str(key), kept): filled_in(entry, kept) for key, entry in entries.items()}
    return value


def found_at(document: Any, path: str) -> Any:
    """What stands at a dotted path of keys and positions; ``None`` where there is nothing."""
    for part in path.split("."):
        if isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, dict):
            document = document.get(part)
        else:
            return None
    return document


def _text(text: str, kept: Mapping[str, Any]) -> Any:
    text = _REPEATED.sub(lambda found: found[1] * int(found[2]), text)
    whole = _NAME.fullmatch(text)
    if whole:
        return _value(whole[1], kept)
    return _NAME.sub(lambda found: str(_value(found[1], kept)), text)


def _value(name: str, kept: Mapping[str, Any]) -> Any:
    if kept.get(name) is None:
        raise UnknownNameError(
            f"The request needs {{{name}}}, which no answer gave.",
            "See what became of the step that keeps it.",
        )
    return kept[name]


def _ranged(item: Any) -> list[Any]:
    found = _RANGE.search(item) if isinstance(item, str) else None
    if found is None:
        return [item]
    numbers = range(int(found[1]), int(found[2]) + 1)
    return [item[: found.start()] + str(number) + item[found.end() :] for number in numbers]
