"""Experiments, projects, account routes: through the official client, embedded and over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.examples import METRICS, PARAMETERS, body, discrete, refused


def test_token_and_client(connection: Any) -> None:
    token = connection.tokens("self").fetch()
    assert token.client == "1"
    assert token.token_type == "client-api"
    assert token.development is False
    client = connection.clients(token.client).fetch()
    assert (client.id, client.to_json()["object"]) == ("1", "client")
    refused(connection.clients(2).fetch, 404, "No client 2")


def test_experiment_document(connection: Any) -> None:
    made = connection.experiments().create(**body(metadata={"a": "b", "n": 1.5, "gone": None}))
    document = made.to_json()
    assert document.pop("created") == document.pop("updated") > 1_600_000_000
    assert document.pop("id").isdigit()
    assert document == {
        "object": "experiment",
        "client": "1",
        "name": "tune",
        "type": "offline",
        "state": "active",
        "user": None,
        "development": False,
        "runs_only": False,
        "project": None,
        "metadata": {"a": "b", "n": 1.5},
        "observation_budget": 20,
        "parallel_bandwidth": None,
        "num_solutions": None,
        "metrics": [
            {
                "object": "metric",
                "name": "accuracy",
                "objective": "maximize",
                "strategy": "constraint",
                "threshold": 0.9,
            },
            {
                "object": "metric",
                "name": "latency",
                "objective": "minimize",
                "strategy": "optimize",
                "threshold": None,
            },
            {
                "object": "metric",
                "name": "noise",
                "objective": "minimize",
                "strategy": "store",
                "threshold": None,
            },
        ],
        "parameters": [
            _parameter("conv", "categorical", categories=["int8", "bf16", "fp32"]),
            _parameter("depth", "int", bounds=(1, 4)),
            _parameter("pool", "categorical", categories=["on", "of"]),
            _parameter("rate", "double", bounds=(1e-4, 1.0), transformation="log"),
        ],
        "conditionals": [],
        "linear_constraints": [],
        "progress": {
            "object": "progress",
            "observation_count": 0,
            "observation_budget_consumed": 0,
            "first_observation": None,
            "last_observation": None,
            "best_observation": None,
        },
    }
    assert connection.experiments(made.id).fetch().to_json() == made.to_json()


def _parameter(
    name: str,
    kind: str,
    bounds: tuple[float, float] | None = None,
    categories: list[str] | None = None,
    transformation: str | None = None,
) -> dict[str, Any]:
    return {
        "object": "parameter",
        "name": name,
        "type": kind,
        "bounds": bounds and {"object": "bounds", "min": bounds[0], "max": bounds[1]},
        "categorical_values": categories
        and [
            {"object": "categorical_value", "name": value, "enum_index": index}
            for index, value in enumerate(categories, 1)
        ],
        "conditions": {},
        "default_value": None,
        "prior": None,
        "transformation": transformation,
    }


def test_metrics_may_be_left_out(connection: Any) -> None:
    made = connection.experiments().create(**body(metrics=None, observation_budget=None))
    (metric,) = made.metrics
    assert (metric.name, metric.objective, metric.strategy) == (None, "maximize", "optimize")


def test_grid_experiment_computes_its_budget(connection: Any) -> None:
    parameters = [{**PARAMETERS[3], "grid": [0.5, 0.1], "bounds": None}, PARAMETERS[0]]
    made = connection.experiments().create(
        name="grid", type="grid", parameters=parameters, metrics=["score"]
    )
    assert made.observation_budget == 6
    conv, rate = made.to_json()["parameters"]
    assert (conv["grid"], conv["bounds"]) == (["int8", "bf16", "fp32"], None)
    assert (rate["grid"], rate["transformation"]) == ([0.1, 0.5], "log")
    assert rate["bounds"] == {"object": "bounds", "min": 0.1, "max": 0.5}


def _categorical(*names: Any, **changes: Any) -> list[dict[str, Any]]:
    return [{"name": "c", "type": "categorical", "categorical_values": list(names), **changes}]


def _double(low: Any, high: Any, **changes: Any) -> list[dict[str, Any]]:
    return [{"name": "d", "type": "double", "bounds": {"min": low, "max": high}, **changes}]


def _grid(values: Any, **changes: Any) -> list[dict[str, Any]]:
    return [{"name": "d", "type": "double", "grid": values, **changes}]


LATENCY, ACCURACY = METRICS[0], METRICS[1]
MANY = [{"name": f"c{i}", "strategy": "constraint", "threshold": 0} for i in range(5)]

BAD_EXPERIMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "no name": (body(name=None), "name"),
    "blank name": (body(name="  "), "name"),
    "long name": (body(name="n" * 101), "less than or equal to 100"),
    "control character in the name": (body(name="a\nb"), "control"),
    "name of another type": (body(name=3), "expected a string"),
    "unknown key": (body(observation_buget=3), "observation_buget"),
    "no parameters": (body(parameters=None), "parameters"),
    "empty parameters": (body(parameters=[]), "at least one"),
    "parameters no array": (body(parameters={"a": 1}), "array"),
    "repeated parameter": (body(parameters=_categorical("a", "b") * 2), "Duplicate"),
    "long parameter name": (body(parameters=_categorical("a", "b", name="n" * 101)), "100"),
    "unknown parameter type": (body(parameters=_categorical("a", "b", type="enum")), "enum"),
    "one categorical value": (body(parameters=_categorical("a")), "at least 2"),
    "repeated categorical value": (body(parameters=_categorical("a", "a")), "Duplicate"),
    "long categorical value": (body(parameters=_categorical("a", "b" * 51)), "50"),
    "numeric categorical value": (body(parameters=_categorical("a", 1)), "string"),
    "bounds on a categorical": (
        body(parameters=_categorical("a", "b", bounds={"min": 0, "max": 1})),
        "bounds",
    ),
    "equal bounds": (body(parameters=_double(1, 1)), "greater than min"),
    "turned bounds": (body(parameters=_double(2, 1)), "greater than min"),
    "no bounds": (body(parameters=[{"name": "d", "type": "double"}]), "bounds"),
    "bounds as text": (body(parameters=_double("0", 1)), "number"),
    "fractional int bounds": (body(parameters=_double(0, 1.5, type="int")), "integer"),
    "log from zero": (body(parameters=_double(0, 1, transformation="log")), "above 0"),
    "unknown transformation": (body(parameters=_double(0, 1, transformation="exp")), "exp"),
    "log of an int": (body(parameters=_double(1, 9, type="int", transformation="log")), "int"),
    "prior": (body(parameters=_double(0, 1, prior={"name": "normal"})), "prior"),
    "empty grid": (body(parameters=_grid([])), "grid"),
    "null grid": (body(parameters=_grid(None)), "grid"),
    "grid with bounds": (body(parameters=_double(0, 1, grid=[0, 1])), "bounds"),
    "grid of one value": (body(parameters=_grid([7])), "at least 2"),
    "repeated grid value": (body(parameters=_grid([1, 1.0])), "Duplicate"),
    "log grid from zero": (body(parameters=_grid([0, 1], transformation="log")), "above 0"),
    "grid experiment without a grid": (body(type="grid", parameters=_double(0, 1)), "grid"),
    "int without a grid": (body(type="grid", parameters=_double(0, 1, type="int")), "grid"),
    "unknown experiment type": (body(type="spe"), "offline"),
    "empty metrics": (body(metrics=[]), "empty"),
    "repeated metric": (body(metrics=["a", "a"]), "Duplicate"),
    "unnamed among several metrics": (body(metrics=[{}, "a"]), "name"),
    "unknown metric key": (body(metrics=[{"name": "a", "goal": 1}]), "goal"),
    "unknown objective": (body(metrics=[{"name": "a", "objective": "max"}]), "maximize"),
    "null objective": (body(metrics=[{"name": "a", "objective": None}]), "objective"),
    "unknown strategy": (body(metrics=[{"name": "a", "strategy": "limit"}]), "constraint"),
    "constraint without threshold": (
        body(metrics=[LATENCY, {"name": "a", "strategy": "constraint"}]),
        "must have a threshold",
    ),
    "threshold on the only objective": (
        body(metrics=[{**LATENCY, "threshold": 1}]),
        "must not have a threshold",
    ),
    "threshold on a stored metric": (
        body(metrics=[LATENCY, {"name": "s", "strategy": "store", "threshold": 1}]),
        "must not have a threshold",
    ),
    "threshold as text": (body(metrics=[LATENCY, {**ACCURACY, "threshold": "1"}]), "number"),
    "only stored metrics": (body(metrics=[{"name": "s", "strategy": "store"}]), "At least one"),
    "three objectives": (body(metrics=["a", "b", "c"]), "at most 2"),
    "five constraints": (body(metrics=[LATENCY, *MANY]), "at most 4"),
    "too many metrics": (body(metrics=[f"m{i}" for i in range(51)]), "at most 50"),
    "no budget with a constraint": (body(observation_budget=None), "observation_budget"),
    "no budget with two objectives": (
        body(metrics=["a", "b"], observation_budget=None),
        "observation_budget",
    ),
    "budget zero": (body(observation_budget=0), "observation_budget"),
    "fractional budget": (body(observation_budget=2.5), "integer"),
    "budget true": (body(observation_budget=True), "number"),
    "bandwidth zero": (body(parallel_bandwidth=0), "parallel_bandwidth"),
    "unknown project": (body(project="nowhere"), "Could not assign to project `nowhere`"),
    "project as a number": (body(project=3), "string"),
    "conditionals": (body(conditionals=[{"name": "x"}]), "not offered"),
    "metadata too many": (body(metadata={f"k{i}": 1 for i in range(101)}), "100"),
    "metadata long key": (body(metadata={"k" * 101: 1}), "100"),
    "metadata long value": (body(metadata={"k": "v" * 501}), "500"),
    "metadata bool": (body(metadata={"k": True}), "number"),
    "metadata nested": (body(metadata={"k": {"a": 1}}), "number"),
    "metadata no object": (body(metadata=[1]), "object"),
    "NUL character": (body(name="a\0b"), "NUL"),
}


@pytest.mark.parametrize("case", BAD_EXPERIMENTS)
def test_bad_experiment_isrefused(shared: Any, case: str) -> None:
    request, words = BAD_EXPERIMENTS[case]
    before = shared.experiments().fetch(state="all").count
    refused(lambda: shared.experiments().create(**request), 400, words)
    assert shared.experiments().fetch(state="all").count == before


@pytest.mark.parametrize("case", ["no name", "equal bounds", "unknown project", "unknown key"])
def test_bad_experiment_is_refused_over_http(connection: Any, case: str) -> None:
    request, words = BAD_EXPERIMENTS[case]
    refused(lambda: connection.experiments().create(**request), 400, words)


def test_limits_themselves_are_accepted(connection: Any) -> None:
    metadata = {f"{i:03}" + "k" * 97: "v" * 500 for i in range(100)}
    made = connection.experiments().create(
        **body(
            name="n" * 100,
            metadata=metadata,
            parameters=_categorical("a" * 50, "b", name="p" * 100),
            metrics=["x", "y", *MANY[:4]],
        )
    )
    assert connection.experiments(made.id).fetch().metadata.to_json() == metadata


def test_update_and_delete(connection: Any) -> None:
    made = connection.experiments().create(**body())
    endpoint = connection.experiments(made.id)
    changed = endpoint.update(
        name="other",
        observation_budget=30,
        parallel_bandwidth=2,
        metadata={"x": 1},
        metrics=[{"name": "noise"}, {"name": "latency"}, {"name": "accuracy", "threshold": 0.8}],
    )
    assert changed.name == "other"
    assert (changed.observation_budget, changed.parallel_bandwidth) == (30, 2)
    assert changed.metadata.to_json() == {"x": 1}
    assert {metric.name: metric.threshold for metric in changed.metrics}["accuracy"] == 0.8
    assert endpoint.fetch().to_json() == changed.to_json()

    endpoint.delete()
    assert endpoint.fetch().state == "deleted"
    assert connection.experiments().fetch().count == 0
    refused(lambda: endpoint.suggestions().create(), 400, "deleted")
    assert endpoint.update(state="active").state == "active"
    assert connection.experiments().fetch().count == 1


def _metrics(index: int, **changes: Any) -> list[dict[str, Any]]:
    """All metrics, one of them changed."""
    return [{**m, **changes} if i == index else m for i, m in enumerate(METRICS)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"type": "grid"}, "type"),
        ({"state": "gone"}, "active"),
        ({"name": ""}, "name"),
        ({"observation_budget": 0}, "observation_budget"),
        ({"observation_budget": None}, "observation_budget"),
        ({"project": "nowhere"}, "does not exist"),
        ({"metrics": [{"name": "accuracy", "threshold": 0.5}]}, "number of metrics"),
        ({"metrics": _metrics(2, name="speed")}, "speed"),
        ({"metrics": _metrics(2, name="accuracy")}, "twice"),
        ({"metrics": _metrics(1, threshold=None)}, "must have a threshold"),
        ({"metrics": _metrics(0, threshold=1)}, "must not have a threshold"),
        ({"metrics": _metrics(1, objective="minimize")}, "objective"),
        ({"observation_budget": 2**40}, "2147483647"),
    ],
)
def test_bad_update_isrefused(shared: Any, changes: dict[str, Any], words: str) -> None:
    made = shared.experiments().create(**body())
    refused(lambda: shared.experiments(made.id).update(**changes), 400, words)
    assert shared.experiments(made.id).fetch().to_json() == made.to_json()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (body(metrics=["a", "b"], observation_budget=8), "more than one optimized"),
        (
            body(
                type="grid",
                observation_budget=None,
                parameters=[{"name": "x", "type": "int", "grid": [1, 2]}],
            ),
            "number of its points",
        ),
    ],
)
def test_budgets_that_are_final(shared: Any, made: dict[str, Any], words: str) -> None:
    """Also the same budget again: SigOpt's own server does not look what it is."""
    created = shared.experiments().create(**made)
    for budget in (9, created.observation_budget):
        refused(
            lambda budget=budget: shared.experiments(created.id).update(observation_budget=budget),
            400,
            words,
        )
    assert shared.experiments(created.id).update(name="other").name == "other"


def test_the_budget_of_a_grid_is_no_other(shared: Any) -> None:
    grid = [{"name": "x", "type": "int", "grid": [1, 2]}]
    for budget in (1, 3):
        refused(
            lambda budget=budget: shared.experiments().create(
                **body(type="grid", parameters=grid, observation_budget=budget)
            ),
            400,
            "2 points",
        )
    right = body(type="grid", parameters=grid, observation_budget=2)
    assert shared.experiments().create(**right).observation_budget == 2


def test_what_of_parameters_is_final(shared: Any) -> None:
    made = shared.experiments().create(**body())
    update = shared.experiments(made.id).update
    for given in (
        PARAMETERS[:2],
        [{"name": "conv"}],
        [*PARAMETERS, {"name": "new", "type": "int", "bounds": {"min": 0, "max": 1}}],
    ):
        refused(lambda given=given: update(parameters=given), 405, "none can be added")
    wrong = {**PARAMETERS[2], "bounds": {"min": 5, "max": 5}}
    refused(lambda: update(parameters=[*PARAMETERS[:2], wrong, PARAMETERS[3]]), 400, "depth")
    outside = {**PARAMETERS[2], "default_value": 9}
    refused(lambda: update(parameters=[*PARAMETERS[:2], outside, PARAMETERS[3]]), 400, "depth")
    refused(lambda: update(parameters=None, name="x"), 400, "array")
    refused(lambda: update(parameters=[{"name": "new"}]), 400, "type")
    assert shared.experiments(made.id).fetch().to_json() == made.to_json()


def test_parameters_that_are_sent_back_unchanged(connection: Any) -> None:
    """As programs do that change a fetched document: SigOpt's own server takes that."""
    grid = {"name": "size", "type": "int", "grid": [4, 2], "default_value": 2}
    made = connection.experiments().create(**body(parameters=[*PARAMETERS, grid]))
    sent = made.to_json()["parameters"]
    update = connection.experiments(made.id).update
    assert update(parameters=sent, name="other").name == "other"
    names = [{"name": parameter["name"]} for parameter in sent]
    assert update(parameters=names).to_json()["parameters"] == sent


def test_lists_are_paged_newest_first(connection: Any) -> None:
    ids = [connection.experiments().create(**discrete(2, name=f"e{i}")).id for i in range(5)]
    page = connection.experiments().fetch(limit=2)
    assert (page.count, [item.id for item in page.data]) == (5, [ids[4], ids[3]])
    assert (page.paging.before is None, page.paging.after) == (False, ids[4])
    assert [item.id for item in page.iterate_pages()] == ids[::-1]
    older = connection.experiments().fetch(limit=2, before=page.paging.before)
    assert [item.id for item in older.data] == [ids[2], ids[1]]
    newer = connection.experiments().fetch(limit=1, after=older.paging.after)
    assert [item.id for item in newer.data] == [ids[3]]
    empty = connection.experiments().fetch(limit=0)
    assert (empty.count, empty.data) == (5, [])
    assert connection.experiments().fetch(search="E3").data[0].id == ids[3]
    assert connection.clients(1).experiments().fetch().count == 5


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": 1001}, "1000"),
        ({"limit": -1}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"before": "x"}, "before"),
        ({"before": 1, "after": 2, "ascending": True}, "Only one"),
        ({"state": "open"}, "active"),
    ],
)
def test_bad_query_isrefused(connection: Any, query: dict[str, Any], words: str) -> None:
    refused(lambda: connection.experiments().fetch(**query), 400, words)


def test_experiment_states_in_lists(connection: Any) -> None:
    kept, gone = (connection.experiments().create(**discrete(2)).id for _ in range(2))
    connection.experiments(gone).delete()
    listed = {
        state: [item.id for item in connection.experiments().fetch(state=state).data]
        for state in ("active", "deleted", "all")
    }
    assert listed == {"active": [kept], "deleted": [gone], "all": [gone, kept]}


def test_projects(connection: Any) -> None:
    projects = connection.clients(1).projects
    made = projects().create(id="my-project_1.x", name="Mine", metadata={"a": 1})
    assert made.to_json()["object"] == "project"
    assert (made.id, made.name, made.client) == ("my-project_1.x", "Mine", "1")
    refused(lambda: projects().create(id="my-project_1.x", name="Again"), 409, "already exists")
    inside = connection.experiments().create(**body(project="my-project_1.x"))
    connection.experiments().create(**body())
    assert inside.project == "my-project_1.x"
    fetched = projects("my-project_1.x").fetch()
    assert fetched.to_json()["experiment_count"] == 1
    page = projects("my-project_1.x").experiments().fetch()
    assert [item.id for item in page.data] == [inside.id]
    assert projects("my-project_1.x").update(name="Ours").name == "Ours"
    assert [item.name for item in projects().fetch().data] == ["Ours"]
    assert connection.experiments(inside.id).update(project=None).project is None
    refused(projects("nowhere").fetch, 404, "No project nowhere in client 1")
    refused(projects("nowhere").experiments().fetch, 404, "No project nowhere")


@pytest.mark.parametrize(
    ("project", "words"),
    [
        ({"id": "Upper", "name": "x"}, "Upper"),
        ({"id": "a b", "name": "x"}, "a b"),
        ({"id": "p" * 33, "name": "x"}, "32"),
        ({"id": "", "name": "x"}, "id"),
        ({"id": "p"}, "name"),
        ({"name": "p"}, "id"),
        ({"id": "p", "name": "x", "owner": 1}, "owner"),
    ],
)
def test_bad_project_isrefused(shared: Any, project: dict[str, Any], words: str) -> None:
    refused(lambda: shared.clients(1).projects().create(**project), 400, words)


def test_record(connection: Any) -> None:
    experiment = connection.experiments().create(**body()).id
    path = ["experiments", experiment, "record"]
    request = connection.impl.request
    assert request("GET", path, {}, None)["record"] is None
    record = {"ops": {f"op{i}": "x" * 200 for i in range(5000)}, "none": None, "nested": [1, [2]]}
    answer = request("PUT", path, {"record": record}, None)
    assert answer == {"object": "record", "experiment": experiment, "record": record}
    assert request("GET", path, None, None) == answer
    assert connection.experiments(experiment).fetch().metadata is None
    too_large = {"record": {"x": "y" * (4 * 1024 * 1024)}}
    refused(lambda: request("PUT", path, too_large, None), 400, "4194304")
    refused(lambda: request("PUT", path, {"record": [1]}, None), 400, "object")
    refused(lambda: request("PUT", path, {"x": 1}, None), 400, "x")
    assert request("GET", path, {}, None) == answer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", ["nothing"], 404),
        ("GET", [], 404),
        ("GET", ["experiments", "abc"], 404),
        ("GET", ["experiments", "-1"], 404),
        ("GET", ["experiments", 999], 404),
        ("GET", ["experiments", "9" * 30], 404),
        ("GET", ["experiments", 999, "suggestions"], 404),
        ("POST", ["experiments", 999, "observations"], 404),
        ("GET", ["experiments", 999, "record"], 404),
        ("POST", ["experiments", 999, "queued_suggestions"], 404),
        ("GET", ["organizations", 2], 404),
        ("GET", ["experiments", 1, "importances"], 404),
        ("PUT", ["experiments", 1, "queued_suggestions", 1], 405),
        ("GET", ["experiments", "9" * 5000], 404),
        ("GET", ["clients", 1, "projects", "\ud800"], 404),
        ("GET", ["training_runs", 1], 404),
        ("DELETE", ["experiments"], 405),
        ("POST", ["experiments", 1], 405),
        ("PUT", ["tokens", "self"], 405),
        ("DELETE", ["clients", 1, "projects", "x"], 405),
        ("GET", ["experiments", 1, "observations", "batch"], 405),
    ],
)
def test_unknown_routes(connection: Any, method: str, path: list[Any], status: int) -> None:
    refused(lambda: connection.impl.request(method, path, {}, None), status)
