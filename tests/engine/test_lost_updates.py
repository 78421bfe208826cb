"""Writers that meet: nothing that was answered with 200 is lost, and no id is used again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.api_error import ApiError
from tests.engine.examples import body, discrete, opened

ROUNDS = 40
SCORE = [{"name": "score", "value": 1.0}]


@pytest.fixture
def drivers(any_storage_url: str) -> Iterator[list[EmbeddedDriver]]:
    """Three processes' views of one store; two of them are one process."""
    made = [EmbeddedDriver(any_storage_url) for _ in range(2)]
    yield [*made, made[0]]
    for driver in made:
        driver.close()


def _at_once(calls: list[Callable[[], Any]]) -> None:
    start = threading.Barrier(len(calls))
    failures: list[BaseException] = []

    def run(call: Callable[[], Any]) -> None:
        start.wait()
        try:
            call()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def _put(driver: EmbeddedDriver, path: list[str], **given: Any) -> Callable[[], Any]:
    return lambda: driver.answer("PUT", path, given)


def test_different_fields_of_one_experiment(drivers: list[EmbeddedDriver]) -> None:
    path = ["experiments", drivers[0].answer("POST", ["experiments"], body())["id"]]
    for step in range(ROUNDS):
        given = [
            {"name": f"n{step}"},
            {"metadata": {"step": step}},
            {"parallel_bandwidth": step + 1},
        ]
        _at_once([_put(driver, path, **g) for driver, g in zip(drivers, given, strict=True)])
        now = drivers[step % 2].answer("GET", path, {})
        found = (now["name"], now["metadata"], now["parallel_bandwidth"])
        assert found == (f"n{step}", {"step": step}, step + 1)


def test_a_deleted_experiment_stays_deleted(drivers: list[EmbeddedDriver]) -> None:
    path = ["experiments", drivers[0].answer("POST", ["experiments"], body())["id"]]
    for step in range(ROUNDS):
        _at_once(
            [
                _put(drivers[0], path, name=f"n{step}"),
                lambda: drivers[1].answer("DELETE", path, {}),
                _put(drivers[2], path, metadata={"step": step}),
            ]
        )
        now = drivers[step % 2].answer("GET", path, {})
        assert (now["state"], now["name"]) == ("deleted", f"n{step}")
        drivers[0].answer("PUT", path, {"state": "active"})


def test_different_fields_of_one_project(drivers: list[EmbeddedDriver]) -> None:
    projects = ["clients", "1", "projects"]
    drivers[0].answer("POST", projects, {"id": "p", "name": "p"})
    for step in range(ROUNDS):
        given = [{"name": f"n{step}"}, {"metadata": {"step": step}}, {"deleted": bool(step % 2)}]
        path = [*projects, "p"]
        _at_once([_put(driver, path, **g) for driver, g in zip(drivers, given, strict=True)])
        now = drivers[step % 2].answer("GET", path, {})
        found = (now["name"], now["metadata"], now["deleted"])
        assert found == (f"n{step}", {"step": step}, bool(step % 2))


def test_a_refused_change_changes_nothing(drivers: list[EmbeddedDriver]) -> None:
    path = ["experiments", drivers[0].answer("POST", ["experiments"], body())["id"]]
    before = drivers[0].answer("GET", path, {})
    with pytest.raises(ApiError):
        drivers[1].answer("PUT", path, {"name": "new", "observation_budget": 0})
    assert drivers[0].answer("GET", path, {}) == before


def test_an_id_is_never_used_again(storage_url: str) -> None:
    """SQLite would give the id of a deleted study to the next one, and to its clients' reports."""
    storage, driver = opened(storage_url)

    def experiment() -> list[str]:
        return ["experiments", driver.answer("POST", ["experiments"], discrete(9))["id"]]

    first = experiment()
    old = driver.answer("POST", [*first, "suggestions"], {})
    storage.delete_study(int(first[1]))  # as the dashboard does
    second = experiment()
    assert int(second[1]) > int(first[1])
    new = driver.answer("POST", [*second, "suggestions"], {})
    late = {"suggestion": old["id"], "values": SCORE}
    with pytest.raises(ApiError) as refused:
        driver.answer("POST", [*first, "observations"], late)
    assert refused.value.status == 404
    assert driver.answer("GET", second, {})["progress"]["observation_count"] == 0
    assert driver.answer("GET", [*second, "suggestions", new["id"]], {})["state"] == "open"
    # Also where all are deleted, and by whoever opens the store later.
    storage.delete_study(int(second[1]))
    driver.close()
    other = EmbeddedDriver(storage_url)
    third = other.answer("POST", ["experiments"], discrete(2))["id"]
    assert int(third) > int(second[1])
    other.close()
