"""Durations and shares as people write them: ``10m``, ``1h30m``, ``90``; ``1%``, ``0.01``.

Each is a callback of an option: click calls it with what was written, ``None`` without.
"""

from __future__ import annotations

import math
import re

import click

_UNITS = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(h|min|m|s)\s*")


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Whole seconds of ``90``, ``90s``, ``10m``, ``1.5h`` or ``1h30m``.

    Raises:
        click.BadParameter: It is none of these, or less than a second.
    """
    if value is None:
        return None
    seconds = seconds_of(value)
    if seconds is None:
        raise click.BadParameter(
            f"{value!r} is no time: write 90s, 10m, 1h30m, or a number of seconds.", ctx, param
        )
    if seconds < 1:
        raise click.BadParameter(
            f"{value!r} is {seconds:g} s, and at least one second is needed.", ctx, param
        )
    return round(seconds)


def share(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A fraction: 0.01 of ``1%``, ``1 %`` or ``0.01``. What it may be, its user checks.

    Raises:
        click.BadParameter: It is no number.
    """
    if value is None:
        return None
    number = share_of(value)
    if number is None:
        raise click.BadParameter(f"{value!r} is no share: write 1% or 0.01.", ctx, param)
    return number


def seconds_of(text: str) -> float | None:
    """Seconds of a duration as people write it; ``None`` if it is none."""
    text = text.strip().lower()
    seconds = _number(text)
    if seconds is None and re.fullmatch(f"(?:{_PART.pattern})+", text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return seconds


def share_of(text: str) -> float | None:
    """A fraction as people write it; ``None`` if it is none."""
    text = text.strip()
    number = _number(text.removesuffix("%").strip())
    return number / 100 if number is not None and text.endswith("%") else number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
