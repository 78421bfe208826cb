"""Figures as the text of a table's cells."""

from __future__ import annotations

import math

from nc_sigopt_strategy.results.interval import Interval

NOTHING = "–"


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


def probability_text(value: float | None) -> str:
    """Two digits; what they would round to certainty is said as a limit."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value < 0.005:
        return "below 0.01"
    return "above 0.99" if value >= 0.995 else f"{value:.2f}"
