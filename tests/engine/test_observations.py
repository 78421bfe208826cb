"""Observations, best assignments and stopping criteria."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engine.examples import ASSIGNMENTS, body, discrete, refused, values


def _endpoint(connection: Any, **request: Any) -> Any:
    return connection.experiments(connection.experiments().create(**(request or body())).id)


def test_observation_document(connection: Any) -> None:
    endpoint = _endpoint(connection)
    suggestion = endpoint.suggestions().create(assignments=ASSIGNMENTS)
    reported = values(1.5, 0.95)
    reported[0]["value_stddev"] = 0.25
    made = endpoint.observations().create(
        suggestion=suggestion.id, values=reported[::-1], metadata={"note": "x"}
    )
    document = made.to_json()
    assert document.pop("created") > 1_600_000_000
    assert document.pop("id") == made.id
    assert document == {
        "object": "observation",
        "experiment": suggestion.experiment,
        "assignments": ASSIGNMENTS,
        "suggestion": suggestion.id,
        "failed": False,
        "metadata": {"note": "x"},
        "values": [
            _value("accuracy", 0.95),
            _value("latency", 1.5, 0.25),
            _value("noise", 0.0),
        ],
    }
    assert endpoint.observations(made.id).fetch().to_json() == made.to_json()
    assert endpoint.suggestions(suggestion.id).fetch().state == "closed"
    refused(endpoint.observations(999).fetch, 404, "No observation 999")


def _value(name: str, value: float, stddev: float | None = None) -> dict[str, Any]:
    return {"object": "metric_evaluation", "name": name, "value": value, "value_stddev": stddev}


def test_failed_and_given_observations(connection: Any) -> None:
    endpoint = _endpoint(connection)
    suggestion = endpoint.suggestions().create()
    failed = endpoint.observations().create(
        suggestion=int(suggestion.id), failed=True, metadata={"reason": "no memory"}
    )
    assert (failed.failed, failed.values) == (True, [])
    given = endpoint.observations().create(assignments=ASSIGNMENTS, values=values())
    assert (given.suggestion, given.assignments.to_json()) == (None, ASSIGNMENTS)
    listed = list(endpoint.observations().fetch(limit=1).iterate_pages())
    assert [item.to_json() for item in listed] == [given.to_json(), failed.to_json()]
    progress = endpoint.fetch().progress.to_json()
    assert progress["observation_count"] == progress["observation_budget_consumed"] == 2
    assert progress["first_observation"] == failed.to_json()
    assert progress["last_observation"] == progress["best_observation"] == given.to_json()


def test_a_second_observation_is_kept_beside_the_first(connection: Any) -> None:
    endpoint = _endpoint(connection)
    suggestion = endpoint.suggestions().create(assignments=ASSIGNMENTS).id
    first = endpoint.observations().create(suggestion=suggestion, values=values(1.0))
    second = endpoint.observations().create(suggestion=suggestion, values=values(2.0))
    assert first.id != second.id
    assert first.suggestion == second.suggestion == suggestion
    assert second.assignments.to_json() == ASSIGNMENTS
    assert endpoint.observations().fetch().count == 2
    assert endpoint.suggestions().fetch().count == 1


def test_unnamed_metric(connection: Any) -> None:
    endpoint = _endpoint(connection, **body(metrics=None, observation_budget=None))
    made = endpoint.observations().create(assignments=ASSIGNMENTS, values=[{"value": 3}])
    assert (made.values[0].name, made.values[0].value) == (None, 3.0)


def test_numpy_numbers_are_numbers(embedded: Any) -> None:
    endpoint = _endpoint(embedded)
    reported = values(np.float32(0.5), np.float64(0.95), np.int64(3))
    made = endpoint.observations().create(assignments=ASSIGNMENTS, values=reported)
    assert [value.value for value in made.values] == [0.95, 0.5, 3.0]


NAN, INF = float("nan"), float("inf")
BAD_OBSERVATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "Exactly one"),
    "both": (
        {"suggestion": "1", "assignments": ASSIGNMENTS, "values": values()},
        "Exactly one",
    ),
    "neither values nor failed": ({"assignments": ASSIGNMENTS}, "Either values or failed"),
    "failed with values": (
        {"assignments": ASSIGNMENTS, "failed": True, "values": values()},
        "must not have values",
    ),
    "failed as text": ({"assignments": ASSIGNMENTS, "failed": "true"}, "boolean"),
    "an answer's values": (
        {"assignments": ASSIGNMENTS, "values": [{**v, "object": "metric"} for v in values()]},
        "object",
    ),
    "a stddev that no server keeps": (
        {
            "assignments": ASSIGNMENTS,
            "values": [*values()[:2], {"name": "noise", "value": 1, "value_stddev": 1e200}],
        },
        "at most",
    ),
    "unknown suggestion": ({"suggestion": "999", "values": values()}, "No suggestion: 999"),
    "missing metric": ({"assignments": ASSIGNMENTS, "values": values()[:2]}, "noise"),
    "no values": ({"assignments": ASSIGNMENTS, "values": []}, "every metric"),
    "unknown metric": (
        {"assignments": ASSIGNMENTS, "values": [*values(), {"name": "x", "value": 1}]},
        "'x'",
    ),
    "metric twice": (
        {"assignments": ASSIGNMENTS, "values": [*values(), values()[0]]},
        "latency twice",
    ),
    "unnamed metric among three": (
        {"assignments": ASSIGNMENTS, "values": [{"value": 1}]},
        "must name",
    ),
    "value NaN": ({"assignments": ASSIGNMENTS, "values": values(NAN)}, "finite"),
    "value infinite": ({"assignments": ASSIGNMENTS, "values": values(1, -INF)}, "finite"),
    "value null": (
        {"assignments": ASSIGNMENTS, "values": values(None)},  # type: ignore[arg-type]
        "value",
    ),
    "value as text": (
        {"assignments": ASSIGNMENTS, "values": values("1")},  # type: ignore[arg-type]
        "number",
    ),
    "value true": ({"assignments": ASSIGNMENTS, "values": values(True)}, "number"),
    "value beyond a double": (
        {"assignments": ASSIGNMENTS, "values": values(10**400)},
        "finite",
    ),
    "negative stddev": (
        {
            "assignments": ASSIGNMENTS,
            "values": [*values()[:2], {"name": "noise", "value": 1, "value_stddev": -1}],
        },
        "negative",
    ),
    "unknown key in a value": (
        {"assignments": ASSIGNMENTS, "values": [{"name": "noise", "value": 1, "std": 1}]},
        "std",
    ),
    "top-level value": ({"assignments": ASSIGNMENTS, "value": 3}, "Unknown json keys: value"),
    "metadata": (
        {"assignments": ASSIGNMENTS, "failed": True, "metadata": {"reason": "x" * 501}},
        "500",
    ),
    "bad assignments": (
        {"assignments": {**ASSIGNMENTS, "pool": "off"}, "values": values()},
        "off",
    ),
}


@pytest.mark.parametrize("case", BAD_OBSERVATIONS)
def test_bad_observation_is_refused(shared: Any, case: str) -> None:
    request, words = BAD_OBSERVATIONS[case]
    endpoint = _endpoint(shared)
    refused(lambda: endpoint.observations().create(**request), 400, words)
    # A batch is checked as a whole before anything is stored.
    good = {"assignments": ASSIGNMENTS, "failed": True}
    refused(lambda: endpoint.observations().create_batch(observations=[good, request]), 400)
    assert endpoint.observations().fetch().count == 0


@pytest.mark.parametrize("case", ["both", "missing metric", "unknown suggestion", "value true"])
def test_bad_observation_is_refused_over_http(connection: Any, case: str) -> None:
    request, words = BAD_OBSERVATIONS[case]
    refused(lambda: _endpoint(connection).observations().create(**request), 400, words)


def test_a_bad_observation_leaves_the_suggestion_open(connection: Any) -> None:
    endpoint = _endpoint(connection)
    suggestion = endpoint.suggestions().create().id
    observe = endpoint.observations().create
    refused(lambda: observe(suggestion=suggestion, values=values()[:1]), 400)
    assert endpoint.suggestions(suggestion).fetch().state == "open"
    assert observe(suggestion=suggestion, values=values()).suggestion == suggestion


def test_batch(connection: Any) -> None:
    endpoint = _endpoint(connection)
    suggestion = endpoint.suggestions().create().id
    batch = [
        {"assignments": ASSIGNMENTS, "values": values()},
        {"suggestion": suggestion, "failed": True},
    ]
    dry = endpoint.observations().create_batch(observations=batch, dry_run=True)
    assert (dry.count, endpoint.observations().fetch().count) == (2, 0)
    assert [(item.id, item.failed) for item in dry.data] == [(None, False), (None, True)]
    made = endpoint.observations().create_batch(observations=batch)
    assert [item.failed for item in made.iterate_pages()] == [False, True]
    assert endpoint.observations().fetch().count == 2
    too_many = [batch[0]] * 2501
    refused(lambda: endpoint.observations().create_batch(observations=too_many), 400, "2500")


def _best(endpoint: Any) -> list[list[float]]:
    """Values of the best observations, sorted."""
    found = endpoint.best_assignments().fetch().iterate_pages()
    return sorted([value["value"] for value in item.to_json()["values"]] for item in found)


def test_best_assignments_with_a_constraint(connection: Any) -> None:
    endpoint = _endpoint(connection)
    assert _best(endpoint) == []
    endpoint.observations().create(assignments=ASSIGNMENTS, values=values(1.0, accuracy=0.8))
    endpoint.observations().create(assignments=ASSIGNMENTS, failed=True)
    assert _best(endpoint) == []
    # Progress ignores the threshold, as a server does.
    assert endpoint.fetch().progress.best_observation.values[0].value == 0.8
    endpoint.observations().create(assignments=ASSIGNMENTS, values=values(3.0, accuracy=0.95))
    met = endpoint.observations().create(
        assignments=ASSIGNMENTS, values=values(2.0, accuracy=0.9), metadata={"a": 1}
    )
    (best,) = endpoint.best_assignments().fetch().iterate_pages()
    assert best.to_json() == {
        "object": "best_assignments",
        "id": met.id,
        "assignments": ASSIGNMENTS,
        "metadata": {"a": 1},
        "values": met.to_json()["values"],
    }
    others = [{"name": "latency"}, {"name": "noise"}]
    endpoint.update(metrics=[{"name": "accuracy", "threshold": 0.92}, *others])
    assert _best(endpoint) == [[0.95, 3.0, 0.0]]


def test_best_assignments_of_two_objectives(connection: Any) -> None:
    metrics = [{"name": "a", "threshold": 0.1}, {"name": "b", "objective": "minimize"}]
    endpoint = _endpoint(connection, **discrete(9, metrics=metrics, observation_budget=9))
    points = [(1, 1), (2, 2), (3, 3), (2, 3), (0, 0), (2, 2)]
    for index, (a, b) in enumerate(points):
        endpoint.observations().create(
            assignments={"p0": f"v{index}"},
            values=[{"name": "a", "value": a}, {"name": "b", "value": b}],
        )
    assert _best(endpoint) == [[1, 1], [2, 2], [2, 2], [3, 3]]
    endpoint.suggestions().create()


def test_best_assignments_of_constraints_only(connection: Any) -> None:
    metrics = [
        {"name": "a", "strategy": "constraint", "threshold": 1},
        {"name": "b", "strategy": "constraint", "threshold": 1, "objective": "minimize"},
    ]
    endpoint = _endpoint(connection, **discrete(9, metrics=metrics, observation_budget=9))
    for index, (a, b) in enumerate([(1, 1), (2, 0), (0, 0), (2, 2)]):
        endpoint.observations().create(
            assignments={"p0": f"v{index}"},
            values=[{"name": "a", "value": a}, {"name": "b", "value": b}],
        )
    assert _best(endpoint) == [[1, 1], [2, 0]]
    endpoint.suggestions().create()


def test_stopping_criteria_and_overrun(connection: Any) -> None:
    endpoint = _endpoint(connection, **body(observation_budget=1))
    assert endpoint.stopping_criteria().fetch().to_json() == {
        "object": "stopping_criteria",
        "should_stop": False,
        "reasons": [],
    }
    for _ in range(2):  # one more than the budget is not an error
        endpoint.observations().create(assignments=ASSIGNMENTS, failed=True)
    stopping = endpoint.stopping_criteria().fetch()
    assert stopping.should_stop is True
    assert stopping.reasons == ["observation_budget_reached"]
