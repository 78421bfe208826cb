"""``comparison_from_json`` undoes ``to_json``."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from nc_sigopt_benchmarks.judging.reading import comparison_from_json
from nc_sigopt_strategy.errors import DataError
from tests.benchmarks.many_strategies import many_strategies


def written() -> dict[str, Any]:
    """A comparison as a reader of ``results.json`` gets it."""
    raw = json.loads(json.dumps(many_strategies().to_json(), allow_nan=False))
    assert isinstance(raw, dict)
    return raw


def test_a_comparison_comes_back_as_it_was() -> None:
    assert comparison_from_json(written()) == many_strategies()


def test_schema_version_1_had_less() -> None:
    raw = written()
    raw["schema_version"] = 1
    for name in ("framework", "evaluation_images", "noise", "model_bytes", "joined_from"):
        del raw[name]
    later = (
        "strategy", "repeat", "skipped", "accuracy_interval", "over_basic", "held_out",
        "peak_memory_bytes", "model_bytes", "host",
    )  # fmt: skip
    for strategy in raw["strategies"]:
        for name in later:
            del strategy[name]
    comparison = comparison_from_json(raw)
    assert comparison.framework == "tensorflow"
    assert [strategy.group for strategy in comparison.strategies[4:6]] == ["sigopt-1", "sigopt-2"]
    assert comparison.strategies[4].trials == many_strategies().strategies[4].trials


def test_what_was_not_finite_comes_back_as_nan() -> None:
    raw = written()
    raw["strategies"][0]["timed"]["speedup"]["high"] = None
    timed = comparison_from_json(raw).strategies[0].timed
    assert timed is not None
    assert math.isnan(timed.speedup.high)


def test_unknown_keys_are_dropped() -> None:
    raw = written()
    raw["later"] = raw["strategies"][0]["later"] = 1
    assert comparison_from_json(raw) == many_strategies()


def test_a_later_schema_version_says_what_to_do() -> None:
    with pytest.raises(DataError, match=r"schema version 3.*reads up to 2.*pip install --upgrade"):
        comparison_from_json({**written(), "schema_version": 3})


@pytest.mark.parametrize("raw", [{}, {"schema_version": "2"}, {"schema_version": True}, [], None])
def test_other_json_is_no_comparison(raw: Any) -> None:
    with pytest.raises(DataError, match="no comparison"):
        comparison_from_json(raw)


@pytest.mark.parametrize(
    "broken", [{"strategies": 3}, {"strategies": [{}]}, {"fp32": {"speedup": 1}}]
)
def test_a_damaged_comparison_is_named(broken: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"damaged.*--resume"):
        comparison_from_json({**written(), **broken})


def test_a_comparison_without_its_strategies_is_damaged() -> None:
    raw = written()
    del raw["strategies"]
    with pytest.raises(DataError, match="damaged: KeyError"):
        comparison_from_json(raw)
