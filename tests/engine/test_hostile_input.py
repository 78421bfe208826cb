"""Whatever is sent to the engine, it answers, or refuses with a 4xx."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.api_error import ApiError
from tests.engine.examples import ASSIGNMENTS, body, discrete, values

NASTY = st.sampled_from(
    [
        10**400, -(10**400), 2**63, -(2**63) - 1, 2**31, 10**18, 0, -1, 1.5, 1e308, -1e308, 5e-324,
        float("nan"), float("inf"), "", " ", "\0", "\ud800", "a" * 5000, "9" * 5000, "-1", "1_0",
        "\u0661", "True", True, None, [], {}, [[]], {"": None}, {"\ud800": 1}, {"name": ["x"]},
        json.loads("[" * 150 + "]" * 150),
    ]
)  # fmt: skip
JSON = st.recursive(
    NASTY | st.text(max_size=5) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = (
    "name", "parameters", "metrics", "project", "type", "observation_budget", "metadata", "state",
    "parallel_bandwidth", "num_solutions", "assignments", "suggestion", "values", "failed", "id",
    "observations", "dry_run", "no_optimize", "limit", "before", "after", "sort", "ascending",
    "search", "fields", "user", "deleted", "period_start", "record", "color", "unknown",
)  # fmt: skip
PATHS = (
    ["experiments"], ["experiments", "1"], ["clients", "1", "projects"], ["clients", "1", "tags"],
    ["clients", "1", "projects", "p"], ["clients", "1", "projects", "p", "experiments"],
    ["experiments", "1", "suggestions"], ["experiments", "1", "suggestions", "1"],
    ["experiments", "1", "queued_suggestions"], ["experiments", "1", "queued_suggestions", "2"],
    ["experiments", "1", "observations"], ["experiments", "1", "observations", "3"],
    ["experiments", "1", "observations", "batch"], ["experiments", "1", "best_assignments"],
    ["experiments", "1", "stopping_criteria"], ["experiments", "1", "record"], ["tokens", "self"],
    ["organizations", "1"],
)  # fmt: skip
VERBS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", ""])
QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
FEW = settings(QUICK, max_examples=6)


@pytest.fixture(scope="module")
def engine() -> Iterator[EmbeddedDriver]:
    """In memory, with a project and an experiment that has one point of each kind."""
    driver = EmbeddedDriver("sqlite://", seed=1)
    driver.answer("POST", ["clients", "1", "projects"], {"id": "p", "name": "P"})
    made = driver.answer("POST", ["experiments"], body(project="p"))
    experiment = ["experiments", made["id"]]
    assert made["id"] == "2"  # the project is a study, too
    for kind in ("suggestions", "queued_suggestions"):
        driver.answer("POST", [*experiment, kind], {"assignments": ASSIGNMENTS})
    observation = {"assignments": ASSIGNMENTS, "values": values()}
    driver.answer("POST", [*experiment, "observations"], observation)
    yield driver
    driver.close()


def _send(driver: EmbeddedDriver, verb: str, path: list[Any], data: Any) -> None:
    """Check that the engine answers with JSON that can be sent, or refuses with a 4xx."""
    refusal = None
    try:
        answer = driver.answer(verb, path, data)
    except ApiError as error:
        refusal, answer = error, error.body()
    json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()
    if refusal is not None:
        assert 400 <= refusal.status < 500, refusal
        assert len(refusal.message) < 5000


def _at_two(path: list[str]) -> list[str]:
    return ["experiments", "2", *path[2:]] if path[:2] == ["experiments", "1"] else path


@QUICK
@given(verb=VERBS, path=st.sampled_from(PATHS), data=st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_body(engine: EmbeddedDriver, verb: str, path: list[str], data: Any) -> None:
    _send(engine, verb, _at_two(path), data)


@QUICK
@given(
    verb=VERBS,
    path=st.lists(
        NASTY | st.sampled_from(sorted({part for path in PATHS for part in path})), max_size=6
    ),
)
def test_any_path(engine: EmbeddedDriver, verb: str, path: list[Any]) -> None:
    parts = [part for part in path if isinstance(part, (str, int))]
    _send(engine, verb, [part for part in parts if _is_printable(part)], {})


def _is_printable(part: Any) -> bool:
    """Python itself refuses to write an integer of thousands of digits."""
    return isinstance(part, str) or part.bit_length() < 2000


@QUICK
@given(key=st.sampled_from(sorted(body())), value=JSON)
def test_a_valid_experiment_with_one_wrong_value(
    engine: EmbeddedDriver, key: str, value: Any
) -> None:
    _send(engine, "POST", ["experiments"], {**body(), key: value})


NUMBERS = st.sampled_from([0, 1, -1, 1e-300, 5e-324, 1e150, -1e150, 1e308, 2**53, -(2**53), 0.1])


@FEW
@given(
    kind=st.sampled_from(["int", "double"]),
    low=NUMBERS,
    high=NUMBERS,
    log=st.booleans(),
    results=st.lists(NUMBERS | st.sampled_from([1.7e308, -1.7e308]), min_size=9, max_size=9),
    sampler=st.sampled_from(["quantization", "tpe", "random"]),
)
def test_extreme_numbers(
    kind: str, low: float, high: float, log: bool, results: list[float], sampler: str
) -> None:
    """Whatever bounds are accepted, there are suggestions, whatever was observed."""
    driver = EmbeddedDriver("sqlite://", seed=1, sampler=sampler)
    parameter = {"name": "x", "type": kind, "bounds": {"min": low, "max": high}}
    if log:
        parameter["transformation"] = "log"
    metrics = [
        {"name": "latency", "objective": "minimize"},
        {"name": "accuracy", "strategy": "constraint", "threshold": 0.5},
    ]
    request = {"name": "x", "parameters": [parameter], "metrics": metrics, "observation_budget": 9}
    made = {}
    with contextlib.suppress(ApiError):
        made = driver.answer("POST", ["experiments"], request)
    if not made:
        _send(driver, "POST", ["experiments"], request)
        driver.close()
        return
    path = ["experiments", made["id"]]
    for result in results:
        suggestion = driver.answer("POST", [*path, "suggestions"], {})
        assert low <= suggestion["assignments"]["x"] <= high
        reported = [{"name": "latency", "value": result}, {"name": "accuracy", "value": -result}]
        observation = {"suggestion": suggestion["id"], "values": reported}
        driver.answer("POST", [*path, "observations"], observation)
    for what in ("suggestions", "best_assignments", "stopping_criteria", "observations"):
        _send(driver, "GET", [*path, what], {})
    driver.close()


@FEW
@given(results=st.lists(NUMBERS, min_size=12, max_size=12))
def test_extreme_results_of_tuning(results: list[float]) -> None:
    """The sampler that knows quantization computes with logarithms and variances."""
    driver = EmbeddedDriver("sqlite://", seed=1)
    metrics = [
        {"name": "latency", "objective": "minimize"},
        {"name": "accuracy", "strategy": "constraint", "threshold": 0.5},
        {"name": "output_noise", "objective": "minimize", "strategy": "store"},
    ]
    request = discrete(3, 3, 3, metrics=metrics, observation_budget=12)
    for parameter in request["parameters"]:
        parameter["categorical_values"] = ["int8", "bf16", "fp32"]
    made = driver.answer("POST", ["experiments"], request)
    path = ["experiments", made["id"]]
    for result in results:
        suggestion = driver.answer("POST", [*path, "suggestions"], {})
        reported = [
            {"name": "latency", "value": result, "value_stddev": min(abs(result), 1e150)},
            {"name": "accuracy", "value": result},
            {"name": "output_noise", "value": -result},
        ]
        observation = {"suggestion": suggestion["id"], "values": reported}
        driver.answer("POST", [*path, "observations"], observation)
    driver.close()
