"""Figures as the text of a table's cells."""

from __future__ import annotations

import math

from nc_sigopt_benchmarks.reporting.comparison import Interval

NOTHING = "–"


def interval_text(interval: Interval) -> str:
    """``value [low–high]``; the value alone where it is exact (FP32 over itself)."""
    text = short(interval.value)
    if interval.low == interval.high:
        return text
    return f"{text} [{short(interval.low)}–{short(interval.high)}]"


def milliseconds_text(interval: Interval) -> str:
    """An interval in seconds, in milliseconds."""
    return interval_text(Interval(interval.value * 1e3, interval.low * 1e3, interval.high * 1e3))


def accuracy_text(value: float | None, interval: Interval | None = None) -> str:
    """Four digits; the sampling interval has as many as it is good for."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if interval is None:
        return f"{value:.4f}"
    digits = 3 if interval.high - interval.low > 0.01 else 4
    return f"{value:.4f} [{interval.low:.{digits}f}–{interval.high:.{digits}f}]"


def seconds_text(value: float | None, digits: int = 0) -> str:
    """Seconds without their unit, which the column's name has."""
    return NOTHING if value is None else f"{value:.{digits}f}"


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
