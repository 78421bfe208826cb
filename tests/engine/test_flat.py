"""What a request costs the database must not grow with the number of observations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy

from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.engine.examples import discrete, opened

SCORE = [{"name": "score", "value": 1.0}]


class Cost:
    """Counts statements, and rows that they bring."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._statements: list[str] = []
        sqlalchemy.event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        self._statements.append(statement)

    def of(self, request: Callable[[], Any]) -> int:
        """Statements of a request."""
        self._statements.clear()
        request()
        return len(self._statements)


def _costs(driver: EmbeddedDriver, path: list[str], cost: Cost) -> dict[str, int]:
    def answer(verb: str, *parts: str, **data: Any) -> Callable[[], Any]:
        return lambda: driver.answer(verb, [*path, *parts], data)

    # What was written since the last request is read first.
    driver.answer("GET", path, {})
    given = driver.answer(
        "POST", [*path, "suggestions"], {"assignments": {"p0": "v0", "p1": "v0"}}
    )
    driver.answer("GET", path, {})
    report = {"suggestion": given["id"], "values": SCORE}
    costs = {
        "observe": cost.of(answer("POST", "observations", **report)),
        "progress": cost.of(answer("GET")),
        "list": cost.of(answer("GET", "observations", limit="1")),
        "suggestions": cost.of(answer("GET", "suggestions", limit="1")),
        "best": cost.of(answer("GET", "best_assignments")),
        "stop": cost.of(answer("GET", "stopping_criteria")),
        "suggest": cost.of(answer("POST", "suggestions")),
    }
    driver.answer("DELETE", [*path, "suggestions"], {})
    return costs


def test_statements_do_not_grow(any_storage_url: str) -> None:
    storage, driver = opened(any_storage_url, seed=1, sampler="random")
    cost = Cost(storage.engine)
    path = ["experiments", driver.answer("POST", ["experiments"], discrete(30, 30))["id"]]
    few = _costs(driver, path, cost)
    batch = [{"assignments": {"p0": "v1", "p1": "v1"}, "values": SCORE}] * 300
    driver.answer("POST", [*path, "observations", "batch"], {"observations": batch})
    for index in range(3):
        made = driver.answer("POST", [*path, "suggestions"], {})
        driver.answer("PUT", [*path, "suggestions", made["id"]], {"metadata": {"index": index}})
    driver.answer("DELETE", [*path, "suggestions"], {})
    assert _costs(driver, path, cost) == few
    assert max(few.values()) <= 20
    assert few["progress"] <= 7
    driver.close()


def test_a_trial_takes_one_statement_per_table(any_storage_url: str) -> None:
    storage, driver = opened(any_storage_url)
    cost = Cost(storage.engine)
    counts = []
    for parameters in (2, 60):
        request = discrete(*[2] * parameters)
        path = ["experiments", driver.answer("POST", ["experiments"], request)["id"]]
        given = {"assignments": {f"p{index}": "v1" for index in range(parameters)}}
        driver.answer("POST", [*path, "suggestions"], given)
        counts.append(
            cost.of(lambda: driver.answer("POST", [*path, "suggestions"], given))  # noqa: B023
        )
    assert counts[0] == counts[1]
    driver.close()


def test_another_driver_reads_it_all_the_same(any_storage_url: str) -> None:
    """What is kept in a process is what a new one reads from the database."""
    one, other = EmbeddedDriver(any_storage_url), EmbeddedDriver(any_storage_url)
    path = ["experiments", one.answer("POST", ["experiments"], discrete(9, 9))["id"]]
    views = [[], ["suggestions"], ["observations"], ["queued_suggestions"], ["best_assignments"],
             ["stopping_criteria"]]  # fmt: skip

    def seen(driver: EmbeddedDriver) -> list[Any]:
        return [driver.answer("GET", [*path, *view], {}) for view in views]

    for step in range(9):
        driver, reader = (one, other) if step % 2 else (other, one)
        assignments = {"p0": f"v{step}", "p1": "v0"}
        made = driver.answer("POST", [*path, "suggestions"], {"assignments": assignments})
        suggestion = [*path, "suggestions", made["id"]]
        driver.answer("POST", [*path, "queued_suggestions"], {"assignments": assignments})
        if step % 3 == 0:
            reader.answer("DELETE", suggestion, {})
        else:
            reader.answer("PUT", suggestion, {"metadata": {"step": step}})
            reported = [{"name": "score", "value": step % 4}]
            report = {"suggestion": made["id"], "values": reported}
            reader.answer("POST", [*path, "observations"], report)
        if step % 4 == 3:
            reader.answer("POST", [*path, "suggestions"], {})
        third = EmbeddedDriver(any_storage_url)
        assert seen(driver) == seen(reader) == seen(third)
        third.close()
    one.close()
    other.close()
