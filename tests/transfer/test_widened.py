"""Parameters that hold what was observed."""

from __future__ import annotations

from typing import Any

import pytest

from nc_sigopt_strategy.transfer.widened import widened

X = {"name": "x", "type": "double", "bounds": {"min": 0.5, "max": 1.0}, "transformation": "log"}
N = {"name": "n", "type": "int", "bounds": {"min": 1, "max": 2}}
KIND = {"name": "kind", "type": "categorical", "categorical_values": ["a", {"name": "b"}]}
WIDTH = {"name": "width", "type": "int", "grid": [8, 16]}


@pytest.mark.parametrize(
    ("parameter", "values", "key", "expected"),
    [
        (X, [0.25, 3.0, 0.0, -1.0], "bounds", {"min": 0.25, "max": 3.0}),
        (N, [7, 0.5, True], "bounds", {"min": 1, "max": 7}),
        (KIND, ["c", "a", "c", 3], "categorical_values", ["a", {"name": "b"}, "c"]),
        (WIDTH, [8, 32, "x"], "grid", [8, 16, 32]),
    ],
)
def test_a_parameter_becomes_as_wide_as_it_must(
    parameter: Any, values: list[Any], key: str, expected: Any
) -> None:
    others = [one for one in (X, N, KIND, WIDTH) if one is not parameter]
    observed = [{parameter["name"]: value, "unknown": 1} for value in values]
    assert widened([parameter, *others], observed) == [{**parameter, key: expected}, *others]


def test_what_holds_everything_stays() -> None:
    observed = [{"x": 0.75, "n": 2, "kind": "b", "width": 16}]
    assert widened([X, N, KIND, WIDTH], observed) is None
    assert widened([X, N], []) is None


WORDS = {"name": "n", "type": "int", "bounds": {"min": "a", "max": 2}}


@pytest.mark.parametrize("odd", ["x", {"name": "x"}, WORDS])
def test_what_is_no_parameter_is_for_others_to_refuse(odd: Any) -> None:
    assert widened([odd], [{"x": 3, "n": 5}]) is None
