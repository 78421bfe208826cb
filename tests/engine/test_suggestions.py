"""Suggestions: given and sampled, closed, kept apart from each other."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import pytest
import sigopt

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.sampling import available_samplers
from tests.engine.examples import ASSIGNMENTS, body, discrete, refused, values


def test_suggestion_document(connection: Any) -> None:
    experiment = connection.experiments().create(**body()).id
    suggestions = connection.experiments(experiment).suggestions
    made = suggestions().create(assignments=ASSIGNMENTS, metadata={"origin": "seed"})
    document = made.to_json()
    assert document.pop("created") > 1_600_000_000
    assert document.pop("id") == made.id
    assert document == {
        "object": "suggestion",
        "number": 1,
        "experiment": experiment,
        "state": "open",
        "deleted": False,
        "assignments": ASSIGNMENTS,
        "metadata": {"origin": "seed"},
    }
    assert type(made.assignments["depth"]) is int
    assert suggestions(made.id).fetch().to_json() == made.to_json()
    assert suggestions(made.id).update(metadata={"n": 2}).metadata.to_json() == {"n": 2}
    connection.experiments(experiment).observations().create(suggestion=made.id, failed=True)
    closed = suggestions(made.id).fetch()
    assert (closed.state, closed.metadata.to_json()) == ("closed", {"n": 2})
    # Metadata can change after the observation, too.
    assert suggestions(made.id).update(metadata=None).metadata is None
    assert suggestions(made.id).fetch().metadata is None


def test_sampled_suggestions_are_in_the_domain(connection: Any) -> None:
    experiment = connection.experiments().create(**body()).id
    endpoint = connection.experiments(experiment)
    for _ in range(14):  # random ones, then TPE's
        made = endpoint.suggestions().create()
        assert made.assignments["conv"] in ("int8", "bf16", "fp32")
        assert made.assignments["pool"] in ("on", "of")
        assert type(made.assignments["depth"]) is int
        assert 1 <= made.assignments["depth"] <= 4
        assert 1e-4 <= made.assignments["rate"] <= 1.0
        endpoint.observations().create(suggestion=made.id, values=values(made.assignments["rate"]))


@pytest.mark.parametrize(
    ("request_body", "words"),
    [
        ({"assignments": {**ASSIGNMENTS, "conv": "int4"}}, "int4"),
        ({"assignments": {**ASSIGNMENTS, "depth": 5}}, "outside"),
        ({"assignments": {**ASSIGNMENTS, "depth": 1.5}}, "integer"),
        ({"assignments": {**ASSIGNMENTS, "rate": "fast"}}, "number"),
        ({"assignments": {**ASSIGNMENTS, "rate": True}}, "number"),
        ({"assignments": {**ASSIGNMENTS, "rate": float("nan")}}, "nan"),
        ({"assignments": {**ASSIGNMENTS, "extra": 1}}, "extra"),
        ({"assignments": {"conv": "int8"}}, "Missing parameters"),
        ({"assignments": []}, "object"),
        ({"assignments": None}, "object"),
        ({"metadata": {"k": [1]}}, "number"),
        ({"task": "cheap"}, "task"),
    ],
)
def test_bad_suggestion_is_refused(shared: Any, request_body: dict[str, Any], words: str) -> None:
    experiment = shared.experiments().create(**body()).id
    suggestions = shared.experiments(experiment).suggestions
    refused(lambda: suggestions().create(**request_body), 400, words)
    assert suggestions().fetch().count == 0


def test_lists_and_filters(connection: Any) -> None:
    experiment = connection.experiments().create(**discrete(9)).id
    endpoint = connection.experiments(experiment)
    ids = [endpoint.suggestions().create().id for _ in range(4)]
    endpoint.observations().create(suggestion=ids[0], values=[{"name": "score", "value": 1}])
    endpoint.observations().create(assignments={"p0": "v0"}, failed=True)  # no suggestion

    def listed(**query: Any) -> list[str]:
        return [item.id for item in endpoint.suggestions().fetch(**query).iterate_pages()]

    assert listed() == ids[::-1]
    assert listed(limit=1) == ids[::-1]
    assert listed(state="open") == ids[:0:-1]
    refused(lambda: listed(state="closed"), 400, "open")
    assert listed(id="") == ids[::-1]
    assert listed(id=f"{ids[1]},{ids[3]}") == [ids[3], ids[1]]


def test_deleting_open_suggestions(connection: Any) -> None:
    experiment = connection.experiments().create(**discrete(9)).id
    endpoint = connection.experiments(experiment)
    first, second, third, observed = (endpoint.suggestions().create().id for _ in range(4))
    endpoint.observations().create(suggestion=observed, failed=True)

    endpoint.suggestions(first).delete()
    assert [item.id for item in endpoint.suggestions().fetch().iterate_pages()] == [
        observed,
        third,
        second,
    ]
    (deleted,) = endpoint.suggestions().fetch(deleted=True).iterate_pages()
    assert (deleted.id, deleted.state, deleted.to_json()["deleted"]) == (first, "closed", True)
    refused(endpoint.suggestions(first).fetch, 404, "No suggestion")
    refused(endpoint.suggestions(first).delete, 404, "No suggestion")
    refused(
        lambda: endpoint.observations().create(suggestion=first, failed=True),
        400,
        f"No suggestion: {first} for experiment: {experiment}",
    )
    refused(endpoint.suggestions(observed).delete, 400, "observed")

    endpoint.suggestions().delete(state="open")
    assert [item.id for item in endpoint.suggestions().fetch().iterate_pages()] == [observed]
    assert endpoint.fetch().progress.observation_count == 1


def test_a_suggestion_belongs_to_its_experiment(embedded: Any) -> None:
    one, other = (embedded.experiments().create(**discrete(3)).id for _ in range(2))
    made = embedded.experiments(one).suggestions().create().id
    refused(embedded.experiments(other).suggestions(made).fetch, 404, "No suggestion")
    observe = embedded.experiments(other).observations().create
    refused(lambda: observe(suggestion=made, failed=True), 400, "No suggestion")


@pytest.mark.parametrize("sampler", available_samplers())
def test_every_combination_once_then_again(sampler: str) -> None:
    driver = EmbeddedDriver("sqlite://", sampler=sampler, seed=3)
    connection = sigopt.Connection(driver=lambda **_: driver)
    endpoint = connection.experiments(connection.experiments().create(**discrete(3, 2, 4)).id)
    seen = []
    for index in range(26):
        made = endpoint.suggestions().create()
        seen.append(tuple(made.assignments[name] for name in ("p0", "p1", "p2")))
        if index % 3 == 0:  # failed points are not tried again either
            endpoint.observations().create(suggestion=made.id, failed=True)
        elif index % 3 == 1:  # the third stays open
            value = [{"name": "score", "value": index % 7}]
            endpoint.observations().create(suggestion=made.id, values=value)
    assert len(set(seen[:24])) == 24
    assert set(seen[24:]) < set(seen[:24])
    if sampler == "grid":
        # The first parameter changes fastest.
        everything = itertools.product(*([f"v{i}" for i in range(n)] for n in (4, 2, 3)))
        assert seen[:24] == [combination[::-1] for combination in everything]
    driver.close()


def test_a_deleted_point_is_suggested_again(embedded: Any) -> None:
    endpoint = embedded.experiments(embedded.experiments().create(**discrete(2)).id)
    first, second = endpoint.suggestions().create(), endpoint.suggestions().create()
    endpoint.suggestions(first.id).delete()
    third = endpoint.suggestions().create()
    assert third.assignments == first.assignments != second.assignments


def test_a_grid_experiment_starts_over(embedded: Any) -> None:
    """The first parameter changes fastest; what is used up begins again, observed or not."""
    request = {**discrete(2, 2), "type": "grid"}
    endpoint = embedded.experiments(embedded.experiments().create(**request).id)
    made = [endpoint.suggestions().create() for _ in range(5)]
    endpoint.observations().create(suggestion=made[0].id, values=[{"value": 1}])
    made += [endpoint.suggestions().create() for _ in range(2)]
    found = [tuple(suggestion.assignments.values()) for suggestion in made]
    once = [("v0", "v0"), ("v1", "v0"), ("v0", "v1"), ("v1", "v1")]
    assert found == (once + once)[:7]


def test_grid_sampler_on_a_continuous_experiment() -> None:
    driver = EmbeddedDriver("sqlite://", sampler="grid")
    connection = sigopt.Connection(driver=lambda **_: driver)
    endpoint = connection.experiments(connection.experiments().create(**body()).id)
    refused(endpoint.suggestions().create, 400, "rate", "continuous")
    driver.close()


def _run(url: str, seed: int | None, steps: int, sampler: str) -> list[dict[str, Any]]:
    """Assignments of ``steps`` trials, each suggested by a driver of its own."""
    found: list[dict[str, Any]] = []
    experiment: str | None = None
    for step in range(steps):
        driver = EmbeddedDriver(url, seed=seed, sampler=sampler)
        client = sigopt.Connection(driver=lambda driver=driver, **_: driver)
        experiment = experiment or client.experiments().create(**body()).id
        endpoint = client.experiments(experiment)
        made = endpoint.suggestions().create()
        found.append(dict(made.assignments))
        endpoint.observations().create(
            suggestion=made.id, values=values(made.assignments["rate"], accuracy=step % 2)
        )
        driver.close()
    return found


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_same_seed_and_history_same_suggestion(tmp_path: Path, sampler: str) -> None:
    steps = 13 if sampler == "tpe" else 4
    first = _run(f"sqlite:///{tmp_path / 'a.db'}", 5, steps, sampler)
    assert _run(f"sqlite:///{tmp_path / 'b.db'}", 5, steps, sampler) == first
    assert _run(f"sqlite:///{tmp_path / 'c.db'}", 6, 3, sampler) != first[:3]
    assert _run(f"sqlite:///{tmp_path / 'd.db'}", None, 3, sampler) != first[:3]


def test_tpe_learns_from_constraints() -> None:
    """The fast values violate the constraint: TPE must end up among the slow ones."""
    driver = EmbeddedDriver("sqlite://", seed=0)
    connection = sigopt.Connection(driver=lambda **_: driver)
    request = {
        "name": "x",
        "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
        "metrics": [
            {"name": "latency", "objective": "minimize"},
            {"name": "accuracy", "strategy": "constraint", "threshold": 0.6},
        ],
        "observation_budget": 40,
    }
    endpoint = connection.experiments(connection.experiments().create(**request).id)
    tried = []
    for _ in range(40):
        made = endpoint.suggestions().create()
        x = made.assignments["x"]
        tried.append(x)
        reported = [{"name": "latency", "value": x}, {"name": "accuracy", "value": x}]
        endpoint.observations().create(suggestion=made.id, values=reported)
    # Without the constraint nearly all of the late ones would be close to 0.
    assert sum(x >= 0.5 for x in tried[20:]) >= 14
    (best,) = endpoint.best_assignments().fetch().iterate_pages()
    assert 0.6 <= best.assignments["x"] < 0.7
    driver.close()


@pytest.mark.parametrize("sampler", available_samplers())
def test_past_the_random_suggestions_with_a_bound(sampler: str) -> None:
    """With Optuna 5 the first suggestion that was no random one ended in an error."""
    driver = EmbeddedDriver("sqlite://", seed=1, sampler=sampler)
    metrics = [
        {"name": "latency", "objective": "minimize"},
        {"name": "accuracy", "strategy": "constraint", "threshold": 0.5},
    ]
    request = discrete(3, 3, 3, metrics=metrics, observation_budget=12)
    path = ["experiments", driver.answer("POST", ["experiments"], request)["id"]]
    tried = set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(12):
            made = driver.answer("POST", [*path, "suggestions"], {})
            chosen = [int(value[1:]) for value in made["assignments"].values()]
            tried.add(tuple(chosen))
            found = [
                {"name": "latency", "value": 10.0 - sum(chosen)},
                {"name": "accuracy", "value": 1.0 - sum(chosen) / 6},
            ]
            report = {"suggestion": made["id"], "values": found}
            driver.answer("POST", [*path, "observations"], report)
    assert len(tried) == 12
    assert driver.answer("GET", path, {})["progress"]["observation_count"] == 12
    driver.close()


@pytest.mark.parametrize("sampler", ["quantization", "tpe", "random", "grid"])
def test_an_experiment_with_two_objectives(sampler: str) -> None:
    """Accuracy and latency, both optimized: each op that is int8 is faster and costs accuracy."""
    driver = EmbeddedDriver("sqlite://", seed=3, sampler=sampler)
    connection = sigopt.Connection(driver=lambda **_: driver)
    request = {
        "name": "front",
        "parameters": [
            {
                "name": f"op{n}",
                "type": "categorical",
                "categorical_values": ["int8", "bf16", "fp32"],
            }
            for n in range(4)
        ],
        "metrics": [
            {"name": "latency", "objective": "minimize"},
            {"name": "accuracy", "objective": "maximize"},
            {"name": "output_noise", "objective": "minimize", "strategy": "store"},
        ],
        "observation_budget": 30,
    }
    endpoint = connection.experiments(connection.experiments().create(**request).id)
    record = {"baseline_accuracy": 0.9}
    connection.impl.request("PUT", ["experiments", endpoint.fetch().id, "record"],
                            {"record": record}, None)  # fmt: skip
    cost = {"int8": (1.0, 0.02), "bf16": (2.0, 0.001), "fp32": (4.0, 0.0)}
    seen = []
    for _ in range(30):
        made = endpoint.suggestions().create()
        chosen = [cost[value] for value in made.assignments.values()]
        # The ops differ: op n costs n + 1 times as much accuracy.
        noise = sum((n + 1) * harm for n, (_, harm) in enumerate(chosen))
        latency = sum(time for time, _ in chosen)
        seen.append((latency, 0.9 - noise))
        endpoint.observations().create(
            suggestion=made.id,
            values=[
                {"name": "latency", "value": latency},
                {"name": "accuracy", "value": 0.9 - noise},
                {"name": "output_noise", "value": noise},
            ],
        )
    best = {
        tuple(value.value for value in item.values)[:2]
        for item in endpoint.best_assignments().fetch().iterate_pages()
    }
    assert best == {
        (accuracy, latency)
        for latency, accuracy in seen
        if not any(
            (faster, -better) != (latency, -accuracy) and faster <= latency and better >= accuracy
            for faster, better in seen
        )
    }
    assert len(best) >= 3
    assert endpoint.fetch().progress.best_observation is None
    if sampler == "quantization":
        # All int8, all fp32, and the whole of the front between them: 9 of 81 configurations.
        assert {latency for _, latency in best} >= {4.0, 5.0, 6.0, 7.0, 8.0}
    driver.close()
