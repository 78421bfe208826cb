"""Observations are listed, numbered and counted in the order in which they arrive."""

from __future__ import annotations

from typing import Any

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.routes import reports
from tests.engine.examples import discrete


def _endpoint(connection: Any, **request: Any) -> Any:
    made = connection.experiments().create(**(request or discrete(9, 9)))
    return connection.experiments(made.id)


def _observe(endpoint: Any, suggestion: Any, value: float = 1.0) -> Any:
    reported = [{"name": "score", "value": value}]
    return endpoint.observations().create(suggestion=suggestion.id, values=reported)


def _ids(page: Any) -> list[str]:
    return [item.id for item in page.iterate_pages()]


def test_late_reports_of_early_suggestions(connection: Any) -> None:
    """As with parallel workers: the latest report comes first, whatever was suggested first."""
    endpoint = _endpoint(connection)
    suggestions = [endpoint.suggestions().create() for _ in range(3)]
    made = [_observe(endpoint, suggestions[index]) for index in (2, 0, 1)]
    ids = [int(observation.id) for observation in made]
    assert ids == sorted(set(ids))
    listed = list(endpoint.observations().fetch(limit=2).iterate_pages())
    assert [item.suggestion for item in listed] == [suggestions[i].id for i in (1, 0, 2)]
    progress = endpoint.fetch().progress
    assert progress.first_observation.suggestion == suggestions[2].id
    assert progress.last_observation.suggestion == suggestions[1].id
    for observation in made:
        assert endpoint.observations(observation.id).fetch().to_json() == observation.to_json()


def test_asking_for_what_is_new(connection: Any) -> None:
    """A program that remembers the marker of the newest item misses nothing."""
    endpoint = _endpoint(connection)
    suggestions = [endpoint.suggestions().create() for _ in range(4)]
    assert endpoint.observations().fetch().paging.after is None
    first = _observe(endpoint, suggestions[3])
    marker = endpoint.observations().fetch(limit=1).paging.after
    assert marker == first.id
    nothing = endpoint.observations().fetch(after=marker)
    assert (nothing.data, nothing.paging.after) == ([], marker)
    late = [_observe(endpoint, suggestions[index]).id for index in (1, 0)]
    assert [item.id for item in endpoint.observations().fetch(after=marker).data] == late[::-1]
    between = endpoint.observations().fetch(after=first.id, before=late[1])
    assert [item.id for item in between.data] == late[:1]
    # In ascending order both markers go on.
    for key in ("before", "after"):
        page = endpoint.observations().fetch(ascending=True, limit=1)
        assert page.data[0].id == first.id
        rest = endpoint.observations().fetch(ascending=True, **{key: page.paging.after})
        assert [item.id for item in rest.data] == late


def test_a_clock_that_goes_back(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is that of arrival: with a clock set back two hours nothing else changes."""
    endpoint = _endpoint(connection, **discrete(9, observation_budget=99))
    hours = iter(range(40, 0, -2))
    monkeypatch.setattr(reports, "unix_now", lambda: 1_700_000_000 + 3600 * next(hours))
    made = [_observe(endpoint, endpoint.suggestions().create(), value) for value in range(12)]
    progress = endpoint.fetch().progress
    assert progress.first_observation.id == made[0].id
    assert progress.last_observation.id == made[-1].id
    assert endpoint.stopping_criteria().fetch().reasons == []
    by_time = endpoint.observations().fetch(sort="timestamp")
    assert _ids(by_time) == [observation.id for observation in made]


def test_of_equal_values_the_latest_is_best(connection: Any) -> None:
    endpoint = _endpoint(connection)
    made = [_observe(endpoint, endpoint.suggestions().create(), v) for v in (1, 3, 3, 2)]
    assert endpoint.fetch().progress.best_observation.id == made[2].id
    # No query changes what is best.
    best = endpoint.best_assignments().fetch(limit=0, colour="red")
    assert [item.id for item in best.data] == [made[2].id]


def test_a_front_is_listed_best_first(connection: Any) -> None:
    metrics = [{"name": "a"}, {"name": "b", "objective": "minimize"}]
    endpoint = _endpoint(connection, **discrete(9, metrics=metrics, observation_budget=9))
    made = []
    for a, b in [(1, 1), (3, 3), (2, 2), (2, 2), (0, 5)]:
        suggestion = endpoint.suggestions().create()
        reported = [{"name": "a", "value": a}, {"name": "b", "value": b}]
        made.append(endpoint.observations().create(suggestion=suggestion.id, values=reported).id)
    best = endpoint.best_assignments().fetch()
    assert [item.id for item in best.data] == [made[index] for index in (1, 3, 2, 0)]


def test_an_observation_updates_its_experiment(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, other = _endpoint(connection), _endpoint(connection)
    before = endpoint.fetch()
    recent = [item.id for item in connection.experiments().fetch(sort="recent").data]
    monkeypatch.setattr("time.time", lambda: before.updated + 1000.0)
    made = _observe(endpoint, endpoint.suggestions().create())
    assert endpoint.fetch().updated == before.updated + 1000
    after = [item.id for item in connection.experiments().fetch(sort="recent").data]
    assert recent[0] == after[1] == other.fetch().id
    monkeypatch.setattr("time.time", lambda: before.updated + 2000.0)
    endpoint.observations(made.id).delete()
    assert endpoint.fetch().updated == before.updated + 2000


def test_lists_ignore_queries_that_they_do_not_know(connection: Any) -> None:
    endpoint = _endpoint(connection)
    suggestion = endpoint.suggestions().create(colour="red")
    endpoint.suggestions(suggestion.id).update(metadata={"a": 1}, colour="red")
    queued = endpoint.queued_suggestions().create(
        assignments={"p0": "v0", "p1": "v0"}, metadata={"a": 1}
    )
    assert endpoint.queued_suggestions().fetch(colour="red").data[0].id == queued.id
    assert endpoint.suggestions().fetch(colour="red").data[0].id == suggestion.id
    assert connection.experiments().fetch(colour="red").count == 1
    assert connection.clients(1).projects().fetch(colour="red").count == 0


@pytest.mark.parametrize("kind", ["suggestions", "queued_suggestions", "observations"])
def test_an_archived_experiment_takes_nothing(connection: Any, kind: str) -> None:
    from tests.engine.examples import refused

    endpoint = _endpoint(connection)
    suggestion = endpoint.suggestions().create()
    endpoint.delete()
    bodies = {
        "suggestions": {},
        "queued_suggestions": {"assignments": {"p0": "v0", "p1": "v0"}},
        "observations": {"suggestion": suggestion.id, "failed": True},
    }
    create = getattr(endpoint, kind)().create
    refused(lambda: create(**bodies[kind]), 400, "deleted experiment")
    if kind == "observations":
        batch = {"observations": [bodies[kind]]}
        refused(lambda: endpoint.observations().create_batch(**batch), 400, "deleted experiment")
    endpoint.update(state="active")
    create(**bodies[kind])


def test_two_processes_number_alike(any_storage_url: str) -> None:
    """The number is given in the transaction, so it is the same for who reads and who wrote."""
    one, other = EmbeddedDriver(any_storage_url), EmbeddedDriver(any_storage_url)
    path = ["experiments", one.answer("POST", ["experiments"], discrete(9, 9))["id"]]
    made = [one.answer("POST", [*path, "suggestions"], {}) for _ in range(6)]
    ids = []
    for index, suggestion in enumerate(reversed(made)):
        report = {"suggestion": suggestion["id"], "failed": True}
        driver = (one, other)[index % 2]
        ids.append(driver.answer("POST", [*path, "observations"], report)["id"])
    assert ids == sorted(set(ids), key=int)
    for driver in (one, other):
        listed = driver.answer("GET", [*path, "observations"], {})["data"]
        assert [item["id"] for item in listed] == ids[::-1]
        driver.close()
