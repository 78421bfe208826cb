"""Queued suggestions: served before the sampler is asked, oldest first, each once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.engine.examples import ASSIGNMENTS, body, discrete, refused, values


def _queue(endpoint: Any, *names: str) -> list[str]:
    return [endpoint.queued_suggestions().create(assignments={"p0": name}).id for name in names]


def test_queued_document(connection: Any) -> None:
    experiment = connection.experiments().create(**body()).id
    queued = connection.experiments(experiment).queued_suggestions
    made = queued().create(assignments=ASSIGNMENTS)
    document = made.to_json()
    assert document.pop("created") > 1_600_000_000
    assert document == {
        "object": "queued_suggestion",
        "id": made.id,
        "experiment": experiment,
        "assignments": ASSIGNMENTS,
    }
    assert queued(made.id).fetch().to_json() == made.to_json()
    refused(queued(999).fetch, 404, "No queued suggestion: 999")
    refused(queued().create, 400, "assignments")
    refused(lambda: queued().create(assignments={"conv": "int8"}), 400, "Missing")
    refused(lambda: queued().create(assignments=ASSIGNMENTS, task="x"), 400, "task")
    connection.experiments(experiment).delete()
    refused(lambda: queued().create(assignments=ASSIGNMENTS), 400, "deleted")


def test_the_oldest_is_served_first(connection: Any) -> None:
    endpoint = connection.experiments(connection.experiments().create(**discrete(5)).id)
    ids = _queue(endpoint, "v3", "v1", "v4")
    assert [item.id for item in endpoint.queued_suggestions().fetch().iterate_pages()] == ids[::-1]
    assert endpoint.queued_suggestions().fetch(limit=1).count == 3
    # None of them is a suggestion yet, nor can it be observed.
    assert endpoint.suggestions().fetch().count == 0
    refused(lambda: endpoint.observations().create(suggestion=ids[0], failed=True), 400, "No sugg")
    refused(endpoint.suggestions(ids[0]).fetch, 404, "No suggestion")

    endpoint.queued_suggestions(ids[1]).delete()
    refused(endpoint.queued_suggestions(ids[1]).fetch, 404, "No queued suggestion")
    refused(endpoint.queued_suggestions(ids[1]).delete, 404, "No queued suggestion")
    first = endpoint.suggestions().create(metadata={"a": 1})
    assert (first.assignments["p0"], first.metadata.to_json()) == ("v3", {"a": 1})
    refused(endpoint.queued_suggestions(ids[0]).fetch, 404, "No queued suggestion")
    # Given assignments do not touch the queue.
    assert endpoint.suggestions().create(assignments={"p0": "v0"}).assignments["p0"] == "v0"
    assert endpoint.queued_suggestions().fetch().count == 1
    assert endpoint.suggestions().create().assignments["p0"] == "v4"
    assert endpoint.queued_suggestions().fetch().count == 0
    assert endpoint.suggestions().fetch(deleted=True).count == 0
    made = endpoint.observations().create(
        suggestion=first.id, values=[{"name": "score", "value": 1}]
    )
    assert made.suggestion == first.id
    assert endpoint.fetch().progress.observation_count == 1


def test_queued_assignments_are_taken(embedded: Any) -> None:
    endpoint = embedded.experiments(embedded.experiments().create(**discrete(4)).id)
    endpoint.suggestions().create(assignments={"p0": "v0"})
    (_, deleted) = _queue(endpoint, "v1", "v2")
    endpoint.queued_suggestions(deleted).delete()
    # v1 is served; v0 and v1 are taken, v2 was taken back.
    found = [endpoint.suggestions().create() for _ in range(3)]
    assert found[0].assignments["p0"] == "v1"
    assert {item.assignments["p0"] for item in found[1:]} == {"v2", "v3"}
    assert [item.to_json()["number"] for item in found] == [2, 4, 5]


def test_another_process_serves_it_first(any_storage_url: str) -> None:
    one, other = EmbeddedDriver(any_storage_url), EmbeddedDriver(any_storage_url)
    path = ["experiments", one.answer("POST", ["experiments"], discrete(30))["id"]]
    for index in range(20):
        queued = {"assignments": {"p0": f"v{index}"}}
        one.answer("POST", [*path, "queued_suggestions"], queued)

    def ask(driver: EmbeddedDriver) -> str:
        made = driver.answer("POST", [*path, "suggestions"], {})
        return str(made["assignments"]["p0"])

    with ThreadPoolExecutor(4) as pool:
        served = list(pool.map(ask, [one, other] * 10))
    assert sorted(served) == sorted(f"v{index}" for index in range(20))
    assert other.answer("GET", [*path, "queued_suggestions"], {})["count"] == 0
    one.close()
    other.close()


def test_samplers_pass_over_the_queue(embedded: Any) -> None:
    endpoint = embedded.experiments(embedded.experiments().create(**body()).id)
    endpoint.queued_suggestions().create(assignments=ASSIGNMENTS)
    for index in range(12):  # random ones, then TPE's
        made = endpoint.suggestions().create()
        endpoint.observations().create(suggestion=made.id, values=values(index))
        if index == 5:
            endpoint.queued_suggestions().create(assignments={**ASSIGNMENTS, "depth": 3})
            served = endpoint.suggestions().create()
            assert served.assignments["depth"] == 3
            endpoint.observations().create(suggestion=served.id, failed=True)
    assert endpoint.fetch().progress.observation_count == 13
