"""Programs for SigOpt's Core API, run as they are against our server over a socket."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from sigopt.examples import FRANKE_EXPERIMENT_DEFINITION, franke_function
from sigopt.exception import ApiException

from tests.engine.client_programs import (
    TOKEN,
    everything,
    new_client,
    not_dominated,
    pairs,
    served,
    value_of,
)
from tests.engine.examples import refused


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("examples")) as address:
        yield address


@pytest.fixture
def conn(url: str) -> Any:
    return new_client(url)


def _double(name: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "double", "bounds": {"min": low, "max": high}, **more}


def test_the_clients_own_example(conn: Any) -> None:
    experiment = conn.experiments().create(**FRANKE_EXPERIMENT_DEFINITION)
    seen = []
    for _ in range(15):
        suggestion = conn.experiments(experiment.id).suggestions().create()
        value = franke_function(suggestion.assignments["x"], suggestion.assignments["y"])
        conn.experiments(experiment.id).observations().create(
            suggestion=suggestion.id, values=[{"value": value, "value_stddev": 0.01}]
        )
        seen.append((value, suggestion.assignments["x"], suggestion.assignments["y"]))
    experiment = conn.experiments(experiment.id).fetch()
    assert experiment.progress.observation_count == 15
    assert experiment.progress.best_observation.values[0].value == max(seen)[0]
    (best,) = everything(conn.experiments(experiment.id).best_assignments().fetch())
    assert (best.values[0].value, best.assignments["x"], best.assignments["y"]) == max(seen)
    assert all(0 <= x <= 1 and 0 <= y <= 1 for _, x, y in seen)
    assert len(set(seen)) == 15


def test_parallel_workers_with_metadata(url: str, conn: Any) -> None:
    budget, workers = 24, 6
    known = conn.experiments().create(
        name="parallel",
        parameters=[_double("x", -5, 5), _double("y", -5, 5)],
        metrics=[{"name": "value", "objective": "minimize"}],
        observation_budget=budget,
        parallel_bandwidth=workers,
    )

    def work(name: str) -> None:
        own = new_client(url).experiments(known.id)
        while own.fetch().progress.observation_count < budget:
            suggestion = own.suggestions().create(metadata={"worker": name})
            point = suggestion.assignments
            own.observations().create(
                suggestion=suggestion.id,
                values=[{"name": "value", "value": point["x"] ** 2 + point["y"] ** 2}],
                metadata={"worker": name},
            )

    threads = [threading.Thread(target=work, args=(f"worker-{i}",)) for i in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    endpoint = conn.experiments(known.id)
    observations = everything(endpoint.observations().fetch(limit=5))
    suggestions = {s.id: s for s in everything(endpoint.suggestions().fetch())}
    assert budget <= len(observations) < budget + workers
    assert sorted(o.suggestion for o in observations) == sorted(suggestions)
    assert {s.state for s in suggestions.values()} == {"closed"}
    for observation in observations:
        suggestion = suggestions[observation.suggestion]
        assert observation.metadata["worker"] == suggestion.metadata["worker"]
        assert observation.assignments.to_json() == suggestion.assignments.to_json()
    points = {tuple(s.assignments.to_json().items()) for s in suggestions.values()}
    assert len(points) == len(suggestions)


def test_categorical_int_and_log_parameters(conn: Any) -> None:
    experiment = conn.experiments().create(
        name="a classifier",
        parameters=[
            {"name": "kernel", "type": "categorical", "categorical_values": ["rbf", "poly"]},
            {"name": "solver", "type": "categorical", "categorical_values": [{"name": "a"},
                                                                            {"name": "b"}]},
            {"name": "degree", "type": "int", "bounds": {"min": 1, "max": 5}},
            {"name": "width", "type": "int", "grid": [8, 16, 64]},
            _double("c", 1e-5, 1e5, transformation="log", default_value=1.0),
        ],
        metrics=[{"name": "accuracy", "objective": "maximize"},
                 {"name": "seconds", "strategy": "store"}],
        observation_budget=12,
    )  # fmt: skip
    own = conn.experiments(experiment.id)
    for number in range(12):
        suggestion = own.suggestions().create()
        given = suggestion.assignments
        assert given["kernel"] in ("rbf", "poly")
        assert given["solver"] in ("a", "b")
        assert given["degree"] in range(1, 6)
        assert isinstance(given["degree"], int)
        assert given["width"] in (8, 16, 64)
        assert 1e-5 <= given["c"] <= 1e5
        if number % 4 == 3:
            own.observations().create(suggestion=suggestion.id, failed=True)
            continue
        own.observations().create(
            suggestion=suggestion.id,
            values=[
                {"name": "accuracy", "value": 1 / (1 + abs(math.log10(given["c"])))},
                {"name": "seconds", "value": given["degree"]},
            ],
        )
    observations = everything(own.observations().fetch())
    assert sum(o.failed for o in observations) == 3
    assert all(o.values == [] for o in observations if o.failed)
    (best,) = everything(own.best_assignments().fetch())
    assert value_of(best, "accuracy") == max(
        value_of(o, "accuracy") for o in observations if not o.failed
    )
    assert own.fetch().progress.observation_budget_consumed == 12


def test_two_metrics_with_thresholds(conn: Any) -> None:
    experiment = conn.experiments().create(
        name="two metrics",
        parameters=[_double("a", 0, 1), _double("b", 0, 1)],
        metrics=[
            {"name": "gain", "objective": "maximize", "threshold": 0.3},
            {"name": "cost", "objective": "minimize", "threshold": 0.9},
        ],
        observation_budget=25,
    )
    own = conn.experiments(experiment.id)
    for _ in range(25):
        suggestion = own.suggestions().create()
        a, b = suggestion.assignments["a"], suggestion.assignments["b"]
        own.observations().create(
            suggestion=suggestion.id,
            values=[{"name": "gain", "value": a}, {"name": "cost", "value": a * a + b / 5}],
        )
    observed = pairs(everything(own.observations().fetch()), "gain", "cost")
    best = pairs(everything(own.best_assignments().fetch(limit=2)), "gain", "cost")
    within = [(gain, cost) for gain, cost in observed if gain >= 0.3 and cost <= 0.9]
    assert set(best) == not_dominated(within)
    assert len(best) == len(set(best))
    assert own.fetch().progress.best_observation is None


def test_constraint_metrics_and_moving_a_threshold(conn: Any) -> None:
    metrics = [
        {"name": "seconds", "objective": "minimize"},
        {"name": "accuracy", "objective": "maximize", "strategy": "constraint", "threshold": 0.5},
    ]
    experiment = conn.experiments().create(
        name="fast enough, right enough", parameters=[_double("x", 0, 1)], metrics=metrics,
        observation_budget=10,
    )  # fmt: skip
    own = conn.experiments(experiment.id)
    for tenth in range(10):
        own.observations().create(
            assignments={"x": tenth / 10},
            values=[
                {"name": "seconds", "value": tenth},
                {"name": "accuracy", "value": tenth / 10},
            ],
        )
    (best,) = everything(own.best_assignments().fetch())
    assert value_of(best, "seconds") == 5
    own.update(metrics=[{"name": "accuracy", "threshold": 0.75}, {"name": "seconds"}])
    (best,) = everything(own.best_assignments().fetch())
    assert value_of(best, "seconds") == 8
    own.update(metrics=[{"name": "accuracy", "threshold": 2.0}, {"name": "seconds"}])
    assert everything(own.best_assignments().fetch()) == []


def test_queued_suggestions_come_first(conn: Any) -> None:
    own = conn.experiments(
        conn.experiments().create(name="queued", parameters=[_double("x", 0, 1)]).id
    )
    queued = [own.queued_suggestions().create(assignments={"x": x}) for x in (0.25, 0.5, 0.75)]
    assert own.queued_suggestions().fetch().count == 3
    assert own.queued_suggestions(queued[1].id).fetch().assignments["x"] == 0.5
    own.queued_suggestions(queued[1].id).delete()
    assert [own.suggestions().create().assignments["x"] for _ in range(2)] == [0.25, 0.75]
    assert own.queued_suggestions().fetch().count == 0
    assert own.suggestions().create().assignments["x"] not in (0.25, 0.5, 0.75)
    refused(lambda: own.queued_suggestions().create(assignments={"x": 2.0}), 400)


def test_batch_of_observations(conn: Any) -> None:
    own = conn.experiments(
        conn.experiments().create(name="batch", parameters=[_double("x", 0, 1)]).id
    )
    suggestion = own.suggestions().create()
    made = own.observations().create_batch(
        observations=[
            {"suggestion": suggestion.id, "values": [{"value": 3.0}]},
            {"assignments": {"x": 0.5}, "values": [{"value": 4.0}], "metadata": {"who": "me"}},
            {"assignments": {"x": 0.6}, "failed": True},
        ]
    )
    assert made.count == 3
    assert own.fetch().progress.observation_count == 3
    refused(
        lambda: own.observations().create_batch(
            observations=[
                {"assignments": {"x": 0.5}, "values": [{"value": 4.0}]},
                {"assignments": {"x": 5}, "values": [{"value": 4.0}]},
            ]
        ),
        400,
    )
    assert own.fetch().progress.observation_count == 3


def test_life_of_an_experiment(conn: Any) -> None:
    made = conn.experiments().create(
        name="Life of an experiment", parameters=[_double("x", 0, 1)], metadata={"stage": "new"}
    )
    own = conn.experiments(made.id)
    own.update(name="Life, renamed", metadata={"stage": "later"}, observation_budget=5)
    fetched = own.fetch()
    assert (fetched.name, fetched.metadata["stage"]) == ("Life, renamed", "later")
    assert fetched.observation_budget == 5

    def found(**query: Any) -> list[str]:
        return [e.id for e in everything(conn.experiments().fetch(search="life, ren", **query))]

    assert found() == [made.id]
    own.delete()
    assert own.fetch().state == "deleted"
    assert found() == []
    assert found(state="deleted") == found(state="all") == [made.id]
    own.update(state="active")
    assert found(sort="recent") == [made.id]


def test_open_suggestions(conn: Any) -> None:
    own = conn.experiments(
        conn.experiments().create(name="open", parameters=[_double("x", 0, 1)]).id
    )
    made = [own.suggestions().create() for _ in range(4)]
    own.observations().create(suggestion=made[0].id, values=[{"value": 1}])
    own.suggestions(made[1].id).update(metadata={"machine": "two"})
    assert own.suggestions(made[1].id).fetch().metadata["machine"] == "two"
    own.suggestions(made[2].id).delete()
    still = everything(own.suggestions().fetch(state="open"))
    assert {s.id for s in still} == {made[1].id, made[3].id}
    own.suggestions().delete(state="open")
    assert own.suggestions().fetch(state="open").count == 0
    assert own.suggestions(made[0].id).fetch().state == "closed"


def test_pages_and_order(conn: Any) -> None:
    own = conn.experiments(
        conn.experiments().create(name="pages", parameters=[_double("x", 0, 1)]).id
    )
    xs = [((7 * i) % 23) / 23 for i in range(23)]
    own.observations().create_batch(
        observations=[{"assignments": {"x": x}, "values": [{"value": 1 - x}]} for x in xs]
    )
    page = own.observations().fetch(limit=5)
    assert page.count == 23
    assert [o.assignments["x"] for o in page.iterate_pages()] == xs[::-1]
    for query, wanted in [
        ({"ascending": True}, xs),
        ({"sort": "value"}, sorted(xs)),
        ({"sort": "parameter-x", "ascending": True}, sorted(xs)),
        ({"sort": "parameter-x"}, sorted(xs, reverse=True)),
    ]:
        found = everything(own.observations().fetch(limit=5, **query))
        assert [o.assignments["x"] for o in found] == wanted, query
    assert own.observations().fetch(limit=0).count == 23
    refused(lambda: own.observations().fetch(limit=1001), 400)


def test_projects(conn: Any) -> None:
    client_id = conn.tokens("self").fetch().client
    client = conn.clients(client_id)
    assert client.fetch().id == client_id
    client.projects().create(id="examples", name="Examples", metadata={"team": "a"})
    refused(lambda: client.projects().create(id="examples", name="Again"), 409)
    client.projects("examples").update(name="More examples")
    assert client.projects("examples").fetch().name == "More examples"
    assert "examples" in [p.id for p in everything(client.projects().fetch())]
    made = client.experiments().create(
        name="in it", parameters=[_double("x", 0, 1)], project="examples"
    )
    (listed,) = everything(client.projects("examples").experiments().fetch())
    assert listed.id == made.id
    assert listed.project == "examples"
    refused(
        lambda: conn.experiments().create(
            name="nowhere", parameters=[_double("x", 0, 1)], project="nowhere"
        ),
        400,
        "project",
    )


def test_stopping_criteria(conn: Any) -> None:
    own = conn.experiments(
        conn.experiments()
        .create(name="stop", parameters=[_double("x", 0, 1)], observation_budget=3)
        .id
    )
    rounds = 0
    while not own.stopping_criteria().fetch().should_stop:
        suggestion = own.suggestions().create()
        own.observations().create(
            suggestion=suggestion.id, values=[{"value": suggestion.assignments["x"]}]
        )
        rounds += 1
    assert rounds == 3
    assert own.stopping_criteria().fetch().reasons == ["observation_budget_reached"]


def test_grid(conn: Any) -> None:
    experiment = conn.experiments().create(
        name="grid",
        type="grid",
        parameters=[
            {"name": "a", "type": "categorical", "categorical_values": ["x", "y"]},
            {"name": "b", "type": "int", "grid": [1, 2, 5]},
        ],
    )
    own, seen = conn.experiments(experiment.id), set()
    for _ in range(experiment.observation_budget):
        suggestion = own.suggestions().create()
        seen.add((suggestion.assignments["a"], suggestion.assignments["b"]))
        own.observations().create(suggestion=suggestion.id, values=[{"value": 1}])
    assert seen == {(a, b) for a in "xy" for b in (1, 2, 5)}


def test_token_and_tags(conn: Any, url: str) -> None:
    token = conn.tokens("self").fetch()
    assert token.token == TOKEN
    # The client has no binding for tags; programs post them with requests.
    address = f"{url}/v1/clients/{token.client}/tags"
    body = {"name": "baseline", "color": "#00AAFF"}
    made = requests.post(address, json=body, auth=(TOKEN, ""), timeout=60)
    assert made.status_code == 200, made.text
    assert {key: made.json()[key] for key in body} == body
    assert requests.post(address, json=body, auth=(TOKEN, ""), timeout=60).status_code == 409
    listed = requests.get(address, auth=(TOKEN, ""), timeout=60).json()
    assert [tag["name"] for tag in listed["data"]] == ["baseline"]


def test_mistakes_a_program_makes(conn: Any, url: str) -> None:
    refused(new_client(url, "wrong").tokens("self").fetch, 403)
    refused(conn.experiments("987654").fetch, 404)
    own = conn.experiments(
        conn.experiments().create(name="m", parameters=[_double("x", 0, 1)], metrics=["score"]).id
    )
    suggestion = own.suggestions().create()
    refused(lambda: own.observations().create(suggestion=suggestion.id), 400)
    refused(lambda: own.observations().create(suggestion=suggestion.id, value=1.0), 400)
    refused(lambda: own.observations().create(
        suggestion=suggestion.id, values=[{"name": "other", "value": 1}]), 400)  # fmt: skip
    refused(lambda: own.observations().create(
        suggestion="999999", values=[{"name": "score", "value": 1}]), 400)  # fmt: skip
    refused(lambda: own.update(parameters=[_double("y", 0, 1)]), 405)
    made = own.observations().create(
        suggestion=suggestion.id, values=[{"name": "score", "value": 1}]
    )
    refused(lambda: own.observations(made.id).update(values=[]), 400)
    with pytest.raises(ApiException):
        conn.experiments().create(name="no parameters")
    # Observed twice, a suggestion's second observation is a trial of its own.
    again = own.observations().create(
        suggestion=suggestion.id, values=[{"name": "score", "value": 2}]
    )
    assert again.assignments.to_json() == suggestion.assignments.to_json()
    assert own.fetch().progress.observation_count == 2
