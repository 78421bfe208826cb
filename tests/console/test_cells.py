"""Figures as text."""

from __future__ import annotations

import math

import pytest

from nc_sigopt_strategy.console.cells import NOTHING, probability_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.50"),
        (0.994, "0.99"),
        (0.9951, "above 0.99"),
        (1.0, "above 0.99"),
        (0.0051, "0.01"),
        (0.0, "below 0.01"),
        (None, NOTHING),
        (math.nan, NOTHING),
    ],
)
def test_no_probability_is_rounded_to_certainty(value: float | None, text: str) -> None:
    assert probability_text(value) == text
