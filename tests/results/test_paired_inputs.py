"""Counts of single inputs in the metadata of an observation, where any program may write."""

from __future__ import annotations

from typing import Any

import pytest

from nc_sigopt_strategy.results.paired_inputs import PairedInputs

FOUND = PairedInputs(inputs=180, of=200, higher=3, lower=5)


def test_counts_come_back_from_metadata() -> None:
    assert FOUND.turned == 8
    as_sigopt_keeps_it = {name: float(count) for name, count in FOUND.as_metadata().items()}
    assert PairedInputs.in_metadata({**as_sigopt_keeps_it, "worker": "w"}) == FOUND


@pytest.mark.parametrize("wrong", ["8", None, True, -1, float("inf"), float("nan"), 1e300])
def test_what_is_no_count_is_nothing_known(wrong: Any) -> None:
    assert PairedInputs.in_metadata({**FOUND.as_metadata(), "paired_lower": wrong}) is None


def test_where_a_count_is_missing_nothing_is_known() -> None:
    assert PairedInputs.in_metadata({"paired_inputs": 180}) is None
    assert PairedInputs.in_metadata({}) is None
