"""Figures as the text of a table's cells."""

from __future__ import annotations

import math

from nc_sigopt_strategy.console.cells import NOTHING
from nc_sigopt_strategy.results.interval import Interval


def interval_text(interval: Interval) -> str:
    """``value [low–high]``; the value alone where it is exact (FP32 over itself)."""
    text = short(interval.value)
    if interval.low == interval.high:
        return text
    return f"{text} [{short(interval.low)}–{short(interval.high)}]"


def milliseconds_text(interval: Interval) -> str:
    """An interval in seconds, in milliseconds."""
    return interval_text(Interval(interval.value * 1e3, interval.low * 1e3, interval.high * 1e3))


def mebibytes_text(size: int | None) -> str:
    """Bytes in MiB."""
    return NOTHING if size is None else short(size / 2**20)


def yes_or_no(flag: bool | None) -> str:
    """``yes``, ``no``, or nothing where it is unknown."""
    return NOTHING if flag is None else ("yes" if flag else "no")


def short(value: float) -> str:
    """Three to four digits."""
    if not math.isfinite(value):
        return NOTHING
    return (
        f"{value:.0f}"
        if abs(value) >= 200
        else f"{value:.1f}"
        if abs(value) >= 20
        else f"{value:.2f}"
    )
