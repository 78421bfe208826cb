"""Durations, shares and flags as people write them: what a text means as a number or a boolean."""

from __future__ import annotations

import math
import re

_UNITS = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(h|min|m|s)\s*")
_FLAGS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}
_LONGEST_SHOWN = 100


def seconds_of(text: str) -> float | None:
    """Seconds of ``90``, ``90s``, ``10m``, ``1.5h`` or ``1h30m``; ``None`` if it is none."""
    text = text.strip().lower()
    seconds = number_of(text)
    if seconds is None and re.fullmatch(f"(?:{_PART.pattern})+", text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return seconds


def share_of(text: str) -> float | None:
    """0.01 of ``1%``, ``1 %`` or ``0.01``; ``None`` if it is none."""
    text = text.strip()
    number = number_of(text.removesuffix("%").strip())
    return number / 100 if number is not None and text.endswith("%") else number


def flag_of(text: str) -> bool | None:
    """Whether a text says yes or no; ``None`` if it says neither."""
    return _FLAGS.get(text.strip().lower())


def whole_of(text: str) -> int | None:
    """A whole number; ``None`` if it is none."""
    number = number_of(text)
    return int(number) if number is not None and number.is_integer() else None


def number_of(text: str) -> float | None:
    """A finite number; ``None`` if it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def brief(value: object) -> str:
    """A value as Python writes it, unless that is very long."""
    try:
        shown = repr(value)
    except ValueError:  # Python writes no whole number of thousands of digits
        return "too long to be shown"
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
