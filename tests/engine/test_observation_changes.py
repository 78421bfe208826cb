"""Observations that are changed and deleted, and what samplers, lists and others see then."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.engine.examples import ASSIGNMENTS, body, discrete, opened, refused, values

SCORE = [{"name": "score", "value": 1.0}]


def _endpoint(connection: Any, **request: Any) -> Any:
    made = connection.experiments().create(**(request or body()))
    return connection.experiments(made.id)


def _best(endpoint: Any) -> list[str]:
    return [item.id for item in endpoint.best_assignments().fetch().data]


def test_a_value_is_corrected(connection: Any) -> None:
    endpoint = _endpoint(connection)
    suggestion = endpoint.suggestions().create(assignments=ASSIGNMENTS).id
    made = endpoint.observations().create(
        suggestion=suggestion, values=values(1.0), metadata={"note": "typo"}
    )
    other = endpoint.observations().create(assignments=ASSIGNMENTS, values=values(2.0))
    assert _best(endpoint) == [made.id]
    changed = endpoint.observations(made.id).update(values=values(3.0))
    assert changed.id == made.id
    assert changed.suggestion == suggestion
    assert changed.values[1].value == 3.0
    assert changed.metadata.to_json() == {"note": "typo"}
    assert endpoint.observations(made.id).fetch().to_json() == changed.to_json()
    assert _best(endpoint) == [other.id]
    assert endpoint.fetch().progress.best_observation is not None
    listed = [item.id for item in endpoint.observations().fetch().data]
    assert listed == [other.id, made.id]
    assert endpoint.suggestions(suggestion).fetch().state == "closed"


def test_it_fails_and_is_measured_after_all(connection: Any) -> None:
    endpoint = _endpoint(connection)
    made = endpoint.observations().create(assignments=ASSIGNMENTS, values=values())
    update = endpoint.observations(made.id).update
    refused(lambda: update(failed=True), 400, "must not have values")
    failed = update(failed=True, values=None, metadata=None)
    assert (failed.failed, failed.values, failed.metadata) == (True, [], None)
    assert _best(endpoint) == []
    refused(lambda: update(values=values()), 400, "must not have values")
    refused(lambda: update(failed=False), 400, "Either values or failed")
    assert update(failed=False, values=values(4.0)).values[1].value == 4.0
    assert _best(endpoint) == [made.id]


def test_assignments_are_corrected(connection: Any) -> None:
    endpoint = _endpoint(connection)
    made = endpoint.observations().create(assignments=ASSIGNMENTS, values=values())
    given = {**ASSIGNMENTS, "conv": "int8", "rate": 0.25}
    update = endpoint.observations(made.id).update
    assert update(assignments=given).assignments.to_json() == given
    assert endpoint.observations(made.id).fetch().assignments.to_json() == given
    refused(lambda: update(assignments={**given, "conv": "int4"}), 400, "int4")
    suggestion = endpoint.suggestions().create().id
    observed = endpoint.observations().create(suggestion=suggestion, values=values())
    update = endpoint.observations(observed.id).update
    assert update(suggestion=int(suggestion)).suggestion == suggestion
    refused(lambda: update(assignments=given), 400, "suggestion's")
    refused(lambda: update(suggestion="7777"), 400, "cannot be changed")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"values": values()[:2]}, "noise"),
        ({"values": values(float("nan"))}, "finite"),
        ({"metadata": {"k": [1]}}, "number"),
        ({"failed": "no"}, "boolean"),
        ({"value": 3}, "value"),
    ],
)
def test_bad_changes_change_nothing(shared: Any, changes: dict[str, Any], words: str) -> None:
    endpoint = _endpoint(shared)
    made = endpoint.observations().create(assignments=ASSIGNMENTS, values=values())
    refused(lambda: endpoint.observations(made.id).update(**changes), 400, words)
    assert endpoint.observations(made.id).fetch().to_json() == made.to_json()
    refused(lambda: endpoint.observations(99).update(values=values()), 404, "No observation 99")
    refused(endpoint.observations(99).delete, 404, "No observation 99")


def test_a_deleted_observation_opens_its_suggestion(connection: Any) -> None:
    endpoint = _endpoint(connection)
    suggestion = endpoint.suggestions().create().id
    made = endpoint.observations().create(suggestion=suggestion, values=values())
    given = endpoint.observations().create(assignments=ASSIGNMENTS, values=values(9.0))
    assert endpoint.observations(made.id).delete() is None
    refused(endpoint.observations(made.id).fetch, 404)
    assert [item.id for item in endpoint.observations().fetch().data] == [given.id]
    progress = endpoint.fetch().progress
    assert (progress.observation_count, progress.first_observation.id) == (1, given.id)
    assert _best(endpoint) == [given.id]
    assert endpoint.suggestions(suggestion).fetch().state == "open"
    assert [s.id for s in endpoint.suggestions().fetch(state="open").data] == [suggestion]
    again = endpoint.observations().create(suggestion=suggestion, values=values(0.5))
    assert int(again.id) > int(given.id)
    assert _best(endpoint) == [again.id]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_suggestion_is_closed_while_an_observation_names_it(
    connection: Any, order: tuple[int, int]
) -> None:
    endpoint = _endpoint(connection)
    suggestion = endpoint.suggestions().create(assignments=ASSIGNMENTS).id
    made = [
        endpoint.observations().create(suggestion=suggestion, values=values(v)).id for v in (1, 2)
    ]
    endpoint.observations(made[order[0]]).delete()
    assert endpoint.suggestions(suggestion).fetch().state == "closed"
    assert [item.id for item in endpoint.observations().fetch().data] == [made[order[1]]]
    endpoint.observations(made[order[1]]).delete()
    assert endpoint.suggestions(suggestion).fetch().state == "open"
    assert endpoint.suggestions().fetch().count == 1
    endpoint.suggestions(suggestion).delete()
    assert endpoint.suggestions().fetch().count == 0


def test_all_are_deleted(connection: Any) -> None:
    endpoint = _endpoint(connection, **discrete(9))
    ids = [endpoint.suggestions().create().id for _ in range(4)]
    for suggestion in ids[:3]:
        endpoint.observations().create(suggestion=suggestion, values=SCORE)
    endpoint.observations().create(suggestion=ids[0], values=SCORE)
    endpoint.observations().create(assignments={"p0": "v8"}, values=SCORE)
    endpoint.observations().delete()
    assert endpoint.observations().fetch().count == 0
    assert endpoint.fetch().progress.to_json()["best_observation"] is None
    assert endpoint.stopping_criteria().fetch().reasons == []
    assert {s.id for s in endpoint.suggestions().fetch(state="open").data} == set(ids)
    endpoint.observations().delete()  # nothing is left to delete


@pytest.mark.parametrize("sampler", ["random", "tpe", "quantization"])
def test_samplers_go_by_what_is_there_now(sampler: str) -> None:
    """A deleted point may be suggested again, and no sampler sees what was taken back."""
    storage, driver = opened("sqlite://", seed=1, sampler=sampler)
    path = ["experiments", driver.answer("POST", ["experiments"], discrete(3))["id"]]
    made = []
    for index in range(3):
        suggestion = driver.answer("POST", [*path, "suggestions"], {})
        report = {"suggestion": suggestion["id"], "values": [{"value": float(index)}]}
        made.append(driver.answer("POST", [*path, "observations"], report))
    driver.answer("DELETE", [*path, "observations", made[1]["id"]], {})
    driver.answer("DELETE", [*path, "suggestions", made[1]["suggestion"]], {})
    again = driver.answer("POST", [*path, "suggestions"], {})
    assert again["assignments"] == made[1]["assignments"]
    driver.answer("PUT", [*path, "observations", made[0]["id"]], {"values": [{"value": 77.0}]})
    (study_id,) = [study._study_id for study in storage.get_all_studies()]
    best = storage.get_best_trial(study_id)
    assert best.value == 77.0
    driver.close()


def test_other_processes_see_it(any_storage_url: str) -> None:
    one, other = EmbeddedDriver(any_storage_url), EmbeddedDriver(any_storage_url)
    path = ["experiments", one.answer("POST", ["experiments"], discrete(30))["id"]]
    views = [[], ["suggestions"], ["observations"], ["best_assignments"], ["stopping_criteria"]]

    def seen(driver: EmbeddedDriver) -> list[Any]:
        return [driver.answer("GET", [*path, *view], {}) for view in views]

    made = []
    for value in range(12):
        suggestion = one.answer("POST", [*path, "suggestions"], {})
        report = {"suggestion": suggestion["id"], "values": [{"value": float(value)}]}
        made.append(one.answer("POST", [*path, "observations"], report)["id"])
    assert seen(one) == seen(other)
    one.answer("PUT", [*path, "observations", made[0]], {"values": [{"value": 99.0}]})
    other.answer("DELETE", [*path, "observations", made[11]], {})
    one.answer("PUT", [*path, "observations", made[5]], {"failed": True, "values": None})
    third = EmbeddedDriver(any_storage_url)
    assert seen(one) == seen(other) == seen(third)
    assert seen(one)[3]["data"][0]["id"] == made[0]
    for driver in (one, other, third):
        driver.close()


def test_changes_at_the_same_time_lose_nothing(any_storage_url: str) -> None:
    """Two that change different parts of one observation: both are there at the end."""
    drivers = [EmbeddedDriver(any_storage_url) for _ in range(2)]
    path = ["experiments", drivers[0].answer("POST", ["experiments"], discrete(3))["id"]]
    report = {"assignments": {"p0": "v0"}, "values": SCORE}
    one = [*path, "observations", drivers[0].answer("POST", [*path, "observations"], report)["id"]]
    for step in range(20):
        bodies = [{"values": [{"value": float(step)}]}, {"metadata": {"step": step}}]
        threads = [
            threading.Thread(target=driver.answer, args=("PUT", one, given))
            for driver, given in zip(drivers, bodies, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        now = drivers[step % 2].answer("GET", one, {})
        assert (now["values"][0]["value"], now["metadata"]) == (float(step), {"step": step})
    for driver in drivers:
        driver.close()
