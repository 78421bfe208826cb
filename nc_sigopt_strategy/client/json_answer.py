"""The JSON of an answer, held to what the client and whoever uses it can read."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

# SigOpt's own answers have ten levels. Copies of what is nested deeper run out of Python's stack.
MOST_LEVELS = 64
_MOST_SAID = 10_000


def without_surprises(content: bytes, status: int) -> bytes:
    """An answer's body, after looking into it; of a refusal rather what it says in words.

    A body that is no JSON at all is left as it is, for the client to say so.

    Args:
        content: The body.
        status: Its HTTP status.

    Raises:
        ValueError: A body that means success is not UTF-8, nested too deeply, or holds a number
            that JSON or a float does not have. The text says which, of "the answer ...".
    """
    if not 200 <= status <= 299:
        return _refusal(content)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise _too_deep() from None
    except _ForeignNumberError:
        raise ValueError("holds a number that JSON does not have") from None
    except ValueError:
        return content[:_MOST_SAID]
    look_through(document)
    return content


def _refusal(content: bytes) -> bytes:
    """A refusal as the client can read it: an object whose message, if any, is text."""
    try:
        document = json.loads(content.decode())
        look_through(document)
    except (ValueError, RecursionError):
        # Whatever its bytes are, they are not cut within a character that UTF-8 would miss.
        return content[:_MOST_SAID].decode(errors="replace").encode()
    said = document
    if isinstance(document, dict):
        said = document.get("message", "")
        if isinstance(said, str) and len(content) <= _MOST_SAID:
            return content
    said = said if isinstance(said, str) else json.dumps(said)
    return json.dumps({"message": said[:_MOST_SAID]}).encode()


def look_through(document: Any, most_values: int = 20_000_000) -> None:
    """Refuse what cannot be worked with as it was read.

    Args:
        document: Of JSON or YAML; what YAML refers to again and again counts each time.
        most_values: How many values it may hold in all.

    Raises:
        ValueError: It is nested too deeply, holds too much, or a number that no float can be. The
            text says which, of "the answer ...".
    """
    level, count = [document], 0
    for _ in range(MOST_LEVELS):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, (int, float)) and not _is_finite(value):
                raise ValueError("holds a number that is none")
        if not below:
            return
        count += len(below)
        if count > most_values:
            raise ValueError(f"holds more than {most_values} values")
        level = below
    raise _too_deep()


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _too_deep() -> ValueError:
    return ValueError("is nested too deeply")


class _ForeignNumberError(ValueError):
    """A number that JSON does not have."""


def _no_constant(text: str) -> NoReturn:
    raise _ForeignNumberError(text)
