"""Orders, filters and fields of lists; tags and the organization."""

from __future__ import annotations

import time
from typing import Any

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.api_error import ApiError
from tests.engine.examples import ASSIGNMENTS, body, discrete, refused, values


def _get(connection: Any, *path: Any, **query: Any) -> Any:
    return connection.impl.request("GET", list(path), query, None)


def _walk(connection: Any, *path: Any, **query: Any) -> list[str]:
    """Ids of all pages of two, from the beginning of the list to its end."""
    found: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = _get(connection, *path, limit=2, **query, **marker)
        found += [item["id"] for item in page["data"]]
        if page["paging"]["before"] is None:
            break
        marker = {"before": page["paging"]["before"]}
    if query.get("ascending"):
        return found
    # And back again.
    back = [item["id"] for item in page["data"]]
    while page["paging"]["after"] is not None:
        after = page["paging"]["after"]
        page = _get(connection, *path, limit=2, after=after, **query)
        back = [item["id"] for item in page["data"]] + back
        if not page["data"]:
            break
    assert back == found
    return found


@pytest.fixture
def observed(connection: Any) -> tuple[Any, list[str]]:
    """An experiment's path and its observations; the third failed."""
    experiment = connection.experiments().create(**body()).id
    endpoint = connection.experiments(experiment)
    ids = []
    for index, latency in enumerate([3.0, 1.0, None, 2.0, 5.0]):
        report: dict[str, Any] = {"failed": True}
        if latency is not None:
            report = {"values": values(latency, accuracy=index)}
            report["values"][0]["value_stddev"] = None if index == 1 else 10 - latency
        assignments = {**ASSIGNMENTS, "rate": 0.1 * (index + 1), "depth": 1 + index % 2}
        ids.append(endpoint.observations().create(assignments=assignments, **report).id)
    return experiment, ids


@pytest.mark.parametrize(
    ("sort", "ascending"),
    [
        (None, [0, 1, 2, 3, 4]),
        ("id", [0, 1, 2, 3, 4]),
        ("timestamp", [0, 1, 2, 3, 4]),
        ("value", [0, 1, 3, 4, 2]),
        ("value-latency", [1, 3, 0, 4, 2]),
        ("value-accuracy", [0, 1, 3, 4, 2]),
        ("value_stddev-latency", [4, 0, 3, 1, 2]),
        ("value-speed", [0, 1, 2, 3, 4]),
        ("parameter-rate", [0, 1, 2, 3, 4]),
        ("parameter-depth", [0, 2, 4, 1, 3]),
    ],
)
def test_orders_of_observations(
    connection: Any, observed: tuple[Any, list[str]], sort: str, ascending: list[int]
) -> None:
    experiment, ids = observed
    path = ("experiments", experiment, "observations")
    expected = [ids[index] for index in ascending]
    assert _walk(connection, *path, sort=sort, ascending=True) == expected
    assert _walk(connection, *path, sort=sort) == expected[::-1]


@pytest.mark.parametrize("sort", ["speed", "parameter-", "parameter-x", "value_"])
def test_unknown_orders(connection: Any, observed: tuple[Any, list[str]], sort: str) -> None:
    path = ("experiments", observed[0], "observations")
    refused(lambda: _get(connection, *path, sort=sort), 400, "sort")
    refused(lambda: _get(connection, *path, sort="value", before="77777"), 400, "77777")


def test_orders_and_filters_of_experiments(connection: Any) -> None:
    ids = [connection.experiments().create(**discrete(2, name=f"e{i}")).id for i in range(5)]
    assert _walk(connection, "experiments", ascending=True) == ids
    assert _walk(connection, "experiments", sort="id", include_ai=True) == ids[::-1]
    recent = _walk(connection, "experiments", sort="recent")
    assert sorted(recent) == sorted(ids)
    created = connection.experiments(ids[0]).fetch().created

    def count(**query: Any) -> int:
        return int(_get(connection, "experiments", limit=0, **query)["count"])

    assert count(development=False) == 5
    assert count(development=True) == count(user="1") == 0
    assert count(period_start=created) == 5
    assert count(period_end=created) == count(period_start=created + 9999) == 0
    assert count(period_start=created, period_end=created + 9999) == 5
    refused(lambda: count(sort="name"), 400, "sort")
    refused(lambda: count(period_start="now"), 400, "period_start")
    refused(lambda: count(ascending="up"), 400, "ascending")
    # Ways to write a boolean and to leave an order out that SigOpt's own server takes.
    for ascending in ("1", "TRUE", True):
        assert _get(connection, "experiments", ascending=ascending)["data"][0]["id"] == ids[0]
    assert _get(connection, "experiments", ascending="0", sort="")["data"][0]["id"] == ids[-1]


def test_a_project_is_as_young_as_what_happens_in_it(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000]
    monkeypatch.setattr(time, "time", lambda: now[0])
    client = connection.clients("1")
    for name in ("old", "new"):
        client.projects().create(id=name, name=name)
        now[0] += 10
    made = connection.experiments().create(
        name="e", project="old", metrics=["m"],
        parameters=[{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
    )  # fmt: skip
    assert client.projects("old").fetch().updated == 1020
    assert client.projects("new").fetch().updated == 1010
    now[0] += 10
    report = {"assignments": {"x": 0.5}, "values": [{"name": "m", "value": 1}]}
    connection.experiments(made.id).observations().create(**report)
    assert client.projects("old").fetch().updated == 1030
    listed = client.projects().fetch(sort="updated").data
    assert [project.id for project in listed] == ["old", "new"]


def test_orders_of_projects(connection: Any) -> None:
    projects = connection.clients(1).projects
    for name in ("a", "b", "c"):
        projects().create(id=name, name=name)
    path = ("clients", 1, "projects")
    assert _walk(connection, *path, sort="created") == ["c", "b", "a"]
    assert sorted(_walk(connection, *path, sort="updated")) == ["a", "b", "c"]
    assert _get(connection, *path, user="1")["count"] == 0
    refused(lambda: _get(connection, *path, sort="name"), 400, "sort")


def test_fields(connection: Any) -> None:
    made = connection.impl.request(
        "POST", ["experiments"], {**discrete(2), "fields": "id,name"}, None
    )
    assert made == {"object": "experiment", "id": made["id"], "name": "discrete"}
    page = _get(connection, "experiments", fields="id, state", limit=5)
    assert page["data"] == [{"object": "experiment", "id": made["id"], "state": "active"}]
    assert page["count"] == 1
    path = ("experiments", made["id"])
    assert set(_get(connection, *path, fields="progress")) == {"object", "progress"}
    refused(lambda: _get(connection, *path, fields="id,nothing"), 400, "nothing", "progress")
    refused(lambda: _get(connection, "experiments", fields="nothing"), 400, "nothing")
    refused(lambda: _get(connection, *path, fields=""), 400, "fields")


def test_tags(connection: Any) -> None:
    path = ["clients", 1, "tags"]

    def create(**tag: Any) -> Any:
        return connection.impl.request("POST", path, tag, None)

    made = create(name="fast", color="#12aB9f")
    assert made == {
        "object": "tag", "id": made["id"], "name": "fast", "color": "#12aB9f", "client": "1",
    }  # fmt: skip
    other = create(name="t" * 100, color="#000000")
    assert [item["id"] for item in _get(connection, *path)["data"]] == [other["id"], made["id"]]
    refused(lambda: create(name="fast", color="#000000"), 409, "already exists")
    for tag, words in (
        ({"name": "x"}, "color"),
        ({"color": "#000000"}, "name"),
        ({"name": "", "color": "#000000"}, "name"),
        ({"name": "t" * 101, "color": "#000000"}, "100"),
        ({"name": "x", "color": "red"}, "red"),
        ({"name": "x", "color": "#00000g"}, "color"),
        ({"name": "x", "color": "#000000", "size": 1}, "size"),
    ):
        refused(lambda tag=tag: create(**tag), 400, words)
    refused(lambda: _get(connection, "clients", 2, "tags"), 404, "No client 2")
    assert _get(connection, *path)["count"] == 2


def test_organization_and_engine(connection: Any) -> None:
    organization = _get(connection, "organizations", 1)
    assert (organization["object"], organization["id"]) == ("organization", "1")
    refused(lambda: _get(connection, "organizations"), 404)
    token = _get(connection, "tokens", "self")
    assert (token["organization"], token["engine"]) == ("1", "nc_sigopt_strategy")


def _stopping(endpoint: Any) -> list[str]:
    found = endpoint.stopping_criteria().fetch()
    assert found.should_stop == bool(found.reasons)
    return list(found.reasons)


def test_possible_stagnation(connection: Any) -> None:
    """Two parameters: the latest ten observations against the five best before."""
    request = discrete(9, 9, observation_budget=99)
    endpoint = connection.experiments(connection.experiments().create(**request).id)

    def observe(score: float | None) -> None:
        report: dict[str, Any] = {"failed": True}
        if score is not None:
            report = {"values": [{"name": "score", "value": score}]}
        endpoint.observations().create(assignments={"p0": "v0", "p1": "v0"}, **report)

    for score in (5, 6, 7, 8, 9):
        observe(score)
    for _ in range(9):
        observe(1)
    assert _stopping(endpoint) == []
    observe(None)
    assert _stopping(endpoint) == ["possible_stagnation"]
    observe(6)  # among the best five
    assert _stopping(endpoint) == []
    for _ in range(9):
        observe(6)
    assert _stopping(endpoint) == []
    observe(5)
    assert _stopping(endpoint) == ["possible_stagnation"]


def test_possible_stagnation_of_a_front(connection: Any) -> None:
    """One parameter: five observations; only once the budget is used."""
    request = discrete(9, metrics=["a", "b"], observation_budget=11)
    endpoint = connection.experiments(connection.experiments().create(**request).id)

    def observe(a: float, b: float) -> None:
        reported = [{"name": "a", "value": a}, {"name": "b", "value": b}]
        endpoint.observations().create(assignments={"p0": "v0"}, values=reported)

    for a, b in [(1, 3), (3, 1), (2, 2), (0, 0), (0, 0), *[(1, 1)] * 5]:
        observe(a, b)
    assert _stopping(endpoint) == []
    observe(3, 1)
    assert _stopping(endpoint) == ["observation_budget_reached", "possible_stagnation"]
    observe(3, 2)
    assert _stopping(endpoint) == ["observation_budget_reached"]


def test_a_count_reads_no_history(storage_url: str) -> None:
    """With ``limit=0`` only how many there are is wanted; it is the number that a list tells."""
    driver = EmbeddedDriver(storage_url, sampler="random", seed=1)
    made = driver.answer("POST", ["experiments"], discrete(2))["id"]
    path = ["experiments", made, "observations"]
    value = {"values": [{"value": 1.0}]}
    first = driver.answer("POST", path, {"assignments": {"p0": "v0"}, **value})["id"]
    driver.answer("POST", path, {"assignments": {"p0": "v1"}, "failed": True})
    suggestions = ["experiments", made, "suggestions"]
    asked = [driver.answer("POST", suggestions, {})["id"] for _ in range(3)]
    again = driver.answer("POST", path, {"suggestion": asked[0], **value})["id"]
    driver.answer("POST", path, {"suggestion": asked[1], **value})
    driver.answer("DELETE", [*suggestions, asked[2]], {})
    counts = []
    for removed in (None, first, again):
        if removed is not None:
            driver.answer("DELETE", [*path, removed], {})
        other = EmbeddedDriver(storage_url, sampler="random", seed=1)
        page = other.answer("GET", path, {"limit": "0"})
        assert other._store._histories == {}
        assert page["paging"] == {"before": None, "after": None}
        assert page["data"] == []
        assert page["count"] == other.answer("GET", path, {})["count"]
        counts.append(page["count"])
        for wrong in ({"sort": "nothing"}, {"limit": "-1"}, {"x": "1"}):
            with pytest.raises(ApiError):
                other.answer("GET", path, {"limit": "0", **wrong})
        other.close()
    assert counts == [4, 3, 2]
    driver.close()
