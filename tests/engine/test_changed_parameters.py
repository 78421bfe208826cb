"""Bounds, categories and grids of parameters change while an experiment runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.sampling import available_samplers

X = {"name": "x", "type": "double", "bounds": {"min": 0.001, "max": 1}, "transformation": "log"}
N = {"name": "n", "type": "int", "bounds": {"min": 1, "max": 4}}
KIND = {"name": "kind", "type": "categorical", "categorical_values": ["a", "b"]}
WIDTH = {"name": "width", "type": "int", "grid": [8, 16, 64]}


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

    def kinds(self, *names: str, **more: Any) -> Any:
        """Change the categories of ``KIND``, which must be the only parameter."""
        return self(
            "PUT", parameters=[{"name": "kind", "categorical_values": list(names), **more}]
        )

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

    def go_on(rounds: int) -> list[dict[str, Any]]:
        seen = []
        for number in range(rounds):
            made = experiment("POST", "suggestions")
            values = [{"name": "m", "value": number}]
            experiment("POST", "observations", suggestion=made["id"], values=values)
            seen.append(made["assignments"])
        return seen

    go_on(14)
    experiment.bounds(X, N, KIND, low=0.2, high=0.3)
    assert all(0.2 <= point["x"] <= 0.3 for point in go_on(4))
    other = {"name": "kind", "categorical_values": ["b", "c", "d"]}
    experiment("PUT", parameters=[{"name": "x"}, {"name": "n"}, other])
    assert {point["kind"] for point in go_on(8)} <= {"b", "c", "d"}
    driver.close()


def test_other_categories_keep_what_was_found_with_the_old_ones(driver: EmbeddedDriver) -> None:
    experiment = Experiment(driver, KIND)
    first = observe(experiment, 9, kind="a")
    observe(experiment, 5, kind="b")
    waiting = experiment("POST", "suggestions", assignments={"kind": "a"})
    changed = experiment.kinds("c", {"name": "b"})
    shown = [(c["name"], c["enum_index"]) for c in changed["parameters"][0]["categorical_values"]]
    # Of those that stay the numbers stay, and nobody gets the number of one that went.
    assert shown == [("b", 2), ("c", 3)]
    assert experiment.suggested(1, "kind") == ["c"]
    experiment("POST", "observations", suggestion=waiting["id"], failed=True)
    listed = experiment("GET", "observations")["data"]
    assert [one["assignments"]["kind"] for one in listed] == ["a", "b", "a"]
    (best,) = experiment("GET", "best_assignments")["data"]
    assert (best["id"], best["assignments"]) == (first, {"kind": "a"})
    with pytest.raises(ApiError, match="must be one of b, c"):
        observe(experiment, 1, kind="a")
    again = experiment.kinds("a", "c", "b")["parameters"][0]["categorical_values"]
    assert [c["name"] for c in again] == ["a", "b", "c"]
    assert observe(experiment, 1, kind="a")
    experiment("PUT", "observations", first, assignments={"kind": "c"})
    assert experiment("GET", "observations", first)["assignments"] == {"kind": "c"}
    assert experiment("GET")["progress"]["observation_count"] == 4


def test_another_grid(driver: EmbeddedDriver) -> None:
    experiment = Experiment(driver, WIDTH)
    observe(experiment, 3, width=64)
    (shown,) = experiment("PUT", parameters=[{"name": "width", "grid": [32, 8, 16]}])["parameters"]
    assert shown["grid"] == [8, 16, 32]
    assert (shown["bounds"]["min"], shown["bounds"]["max"]) == (8, 32)
    assert sorted(experiment.suggested(3, "width")) == [8, 16, 32]
    assert experiment("GET", "observations")["data"][0]["assignments"] == {"width": 64}
    # An answer can be sent back.
    assert experiment("PUT", parameters=[shown])["parameters"] == [shown]
    with pytest.raises(ApiError, match="leave bounds out") as caught:
        experiment("PUT", parameters=[{"name": "width", "bounds": {"min": 8, "max": 16}}])
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("parameter", "change", "status", "words"),
    [
        (KIND, {"categorical_values": ["a"]}, 400, "at least 2"),
        (KIND, {"categorical_values": ["a", "b", "a"]}, 400, "Duplicate"),
        (KIND, {"type": "int"}, 400, "kind"),
        (N, {"type": "double"}, 400, "type of parameter n cannot be changed"),
        (X, {"transformation": "none"}, 400, "transformation of parameter x cannot be changed"),
        (N, {"grid": [1, 2]}, 405, "has bounds, and keeps that"),
        ({**KIND, "default_value": "a"}, {"categorical_values": ["b", "c"]}, 400, "one of b, c"),
    ],
)
def test_what_a_parameter_cannot_become(
    driver: EmbeddedDriver, parameter: Any, change: Any, status: int, words: str
) -> None:
    experiment = Experiment(driver, parameter)
    before = experiment("GET")
    with pytest.raises(ApiError, match=words) as caught:
        experiment("PUT", parameters=[{"name": parameter["name"], **change}])
    assert caught.value.status == status
    assert experiment("GET") == before


def test_parameters_of_a_grid_experiment_stay(driver: EmbeddedDriver) -> None:
    body = {"name": "g", "type": "grid", "parameters": [KIND]}
    made = driver.answer("POST", ["experiments"], body)
    with pytest.raises(ApiError, match="grid experiment") as caught:
        driver.answer("PUT", ["experiments", made["id"]], {"parameters": made["parameters"]})
    assert caught.value.status == 400


def test_categories_that_two_processes_change(storage_url: str) -> None:
    here, there = (EmbeddedDriver(storage_url, sampler="random", seed=1) for _ in range(2))
    experiment = Experiment(here, KIND)
    other = Experiment.__new__(Experiment)
    other.driver, other.id = there, experiment.id
    other.suggested(2, "kind")
    experiment.kinds("b", "c")
    observe(experiment, 1, kind="c")
    other.kinds("b", "c", "d")
    observe(other, 2, kind="d")
    assert [o["assignments"]["kind"] for o in experiment("GET", "observations")["data"]] == [
        "d",
        "c",
    ]
    assert other("GET", "observations") == experiment("GET", "observations")
    here.close()
    there.close()


def test_optuna_reads_what_was_stored_with_former_categories(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'e.db'}"
    driver = EmbeddedDriver(url, sampler="random", seed=1)
    experiment = Experiment(driver, KIND)
    moved = observe(experiment, 1, kind="a")
    experiment.kinds("c", "d")
    observe(experiment, 2, kind="d")
    experiment("PUT", "observations", moved, assignments={"kind": "c"})
    driver.close()
    storage = optuna.storages.RDBStorage(url)
    (study,) = storage.get_all_studies()
    assert [t.params["kind"] for t in storage.get_all_trials(study._study_id)] == ["c", "d"]


def test_a_trial_made_after_a_change_that_is_not_known_yet_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'e.db'}"
    here, there = EmbeddedDriver(url, sampler="random"), EmbeddedDriver(url, sampler="random")
    experiment = Experiment(here, KIND)
    other = Experiment.__new__(Experiment)
    other.driver, other.id = there, experiment.id
    # The other process has read the description, and what follows is written before it reads on.
    store = there._store
    before = store.experiment(int(experiment.id))
    observe(experiment, 1, kind="b")
    experiment.kinds("b", "c")
    observe(experiment, 2, kind="c")
    with monkeypatch.context() as patch:
        patch.setattr(store, "experiment", lambda study_id: before)
        assert [o["assignments"]["kind"] for o in other("GET", "observations")["data"]] == ["b"]
    assert [o["assignments"]["kind"] for o in other("GET", "observations")["data"]] == ["c", "b"]
    here.close()
    there.close()
