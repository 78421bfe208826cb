"""Bounds of parameters change while an experiment runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.sampling import available_samplers

X = {"name": "x", "type": "double", "bounds": {"min": 0.001, "max": 1}, "transformation": "log"}
N = {"name": "n", "type": "int", "bounds": {"min": 1, "max": 4}}
KIND = {"name": "kind", "type": "categorical", "categorical_values": ["a", "b"]}


class Experiment:
    """An experiment on a driver; ``parameters`` are those of the request."""

    def __init__(self, driver: EmbeddedDriver, *parameters: Any) -> None:
        self.driver = driver
        body = {"name": "e", "parameters": list(parameters), "metrics": [{"name": "m"}]}
        self.id = driver.answer("POST", ["experiments"], body)["id"]

    def __call__(self, verb: str, *path: str, **data: Any) -> Any:
        return self.driver.answer(verb, ["experiments", self.id, *path], data)

    def bounds(self, *parameters: Any, low: float, high: float) -> Any:
        """Change the bounds of the first parameter that is given."""
        first, *others = parameters
        new = {**first, "bounds": {"min": low, "max": high}}
        return self("PUT", parameters=[new, *others])

    def suggested(self, count: int, name: str) -> list[Any]:
        return [self("POST", "suggestions")["assignments"][name] for _ in range(count)]


@pytest.fixture
def driver(storage_url: str) -> Any:
    made = EmbeddedDriver(storage_url, sampler="random", seed=1)
    yield made
    made.close()


def observe(experiment: Experiment, value: float, **assignments: Any) -> str:
    values = [{"name": "m", "value": value}]
    made = experiment("POST", "observations", assignments=assignments, values=values)
    return str(made["id"])


def test_narrower_bounds_keep_what_was_found_outside(driver: EmbeddedDriver) -> None:
    experiment = Experiment(driver, X, N, KIND)
    outside = observe(experiment, 9, x=0.9, n=2, kind="a")
    suggestion = experiment("POST", "suggestions", assignments={"x": 0.8, "n": 1, "kind": "b"})
    experiment("POST", "queued_suggestions", assignments={"x": 0.7, "n": 1, "kind": "b"})
    changed = experiment.bounds(X, N, KIND, low=0.01, high=0.1)
    assert changed["parameters"][2]["bounds"] == {"object": "bounds", "min": 0.01, "max": 0.1}
    assert changed["parameters"][2]["transformation"] == "log"
    # What a person has asked for is served, and what was suggested can be observed.
    assert experiment.suggested(1, "x") == [0.7]
    values = [{"name": "m", "value": 3}]
    experiment("POST", "observations", suggestion=suggestion["id"], values=values)
    assert all(0.01 <= x <= 0.1 for x in experiment.suggested(20, "x"))
    listed = experiment("GET", "observations")["data"]
    assert [one["assignments"]["x"] for one in listed] == [0.8, 0.9]
    (best,) = experiment("GET", "best_assignments")["data"]
    assert (best["id"], best["assignments"]["x"]) == (outside, 0.9)
    assert experiment("PUT", "observations", outside, metadata={"a": 1})["metadata"] == {"a": 1}
    wider = experiment.bounds(X, N, KIND, low=0.001, high=100)
    assert wider["progress"]["observation_count"] == 2
    assert max(experiment.suggested(30, "x")) > 1


def test_a_finite_space_grows_and_shrinks(driver: EmbeddedDriver) -> None:
    experiment = Experiment(driver, N)
    assert sorted(experiment.suggested(4, "n")) == [1, 2, 3, 4]
    experiment.bounds(N, low=3, high=7)
    # 3 and 4 are taken; 1 and 2 are no points any more.
    assert sorted(experiment.suggested(3, "n")) == [5, 6, 7]
    assert set(experiment.suggested(6, "n")) <= {3, 4, 5, 6, 7}
    experiment.bounds(N, low=1, high=2)
    assert set(experiment.suggested(3, "n")) <= {1, 2}


def test_an_observation_that_is_moved_within_counts_again(driver: EmbeddedDriver) -> None:
    experiment = Experiment(driver, N)
    outside = observe(experiment, 1, n=1)
    experiment.bounds(N, low=3, high=4)
    assert sorted(experiment.suggested(1, "n") + experiment.suggested(1, "n")) == [3, 4]
    experiment("DELETE", "suggestions")
    experiment("PUT", "observations", outside, assignments={"n": 3})
    assert experiment.suggested(1, "n") == [4]


def test_another_process_follows(storage_url: str) -> None:
    here, there = (EmbeddedDriver(storage_url, sampler="random", seed=1) for _ in range(2))
    experiment = Experiment(here, X)
    other = Experiment.__new__(Experiment)
    other.driver, other.id = there, experiment.id
    assert len(other.suggested(3, "x")) == 3
    experiment.bounds(X, low=0.5, high=0.6)
    assert all(0.5 <= x <= 0.6 for x in other.suggested(10, "x"))
    here.close()
    there.close()


@pytest.mark.parametrize("sampler", sorted(set(available_samplers()) - {"grid"}))
def test_every_sampler_goes_on(tmp_path: Path, sampler: str) -> None:
    driver = EmbeddedDriver(f"sqlite:///{tmp_path / 'e.db'}", sampler=sampler, seed=1)
    experiment = Experiment(driver, X, N, KIND)
    for number in range(14):
        made = experiment("POST", "suggestions")
        values = [{"name": "m", "value": number}]
        experiment("POST", "observations", suggestion=made["id"], values=values)
    experiment.bounds(X, N, KIND, low=0.2, high=0.3)
    for number in range(4):
        made = experiment("POST", "suggestions")
        assert 0.2 <= made["assignments"]["x"] <= 0.3
        values = [{"name": "m", "value": number}]
        experiment("POST", "observations", suggestion=made["id"], values=values)
    driver.close()
