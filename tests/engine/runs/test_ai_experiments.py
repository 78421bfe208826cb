"""AI experiments: runs that are served with suggestions and become observations."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.engine.runs.test_runs import PROJECT, Api

PARAMETERS = [
    {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}},
    {"name": "k", "type": "categorical", "categorical_values": ["a", "b"]},
]
GIVEN = {"x": 0.25, "k": "b"}


@pytest.fixture
def api(storage_url: str) -> Iterator[Api]:
    driver = EmbeddedDriver(storage_url, sampler="random", seed=1)
    made = Api(driver)
    made("POST", "clients", 1, "projects", id="p", name="P")
    yield made
    driver.close()


def create(api: Api, **more: Any) -> Any:
    body = {"name": "e", "parameters": PARAMETERS, "metrics": [{"name": "m"}], **more}
    return api("POST", *PROJECT, "aiexperiments", **body)


def run_of(api: Api, experiment: Any, **data: Any) -> Any:
    return api("POST", "aiexperiments", experiment["id"], "training_runs", **{"name": "r", **data})


def progress(api: Api, experiment: Any) -> tuple[int, int, int | None]:
    found = api("GET", "aiexperiments", experiment["id"])["progress"]
    return found["finished_run_count"], found["active_run_count"], found["remaining_budget"]


def best(api: Api, experiment: Any) -> list[str]:
    path = ("aiexperiments", experiment["id"], "best_training_runs")
    return [run["id"] for run in api("GET", *path)["data"]]


def finish(api: Api, run: Any, value: float | None, state: str = "completed") -> Any:
    values = {} if value is None else {"m": {"value": value}, "other": {"value": 1}}
    return api("MERGE", "training_runs", run["id"], state=state, values=values)


def test_it_is_another_kind_of_experiment(api: Api) -> None:
    made = create(api, budget=5)
    assert made["object"] == "aiexperiment"
    assert (made["budget"], made["runs_only"], made["project"]) == (5, True, "p")
    assert not {"development", "observation_budget"} & made.keys()
    core = api("POST", "experiments", name="c", parameters=PARAMETERS)
    assert int(core["id"]) == int(made["id"]) + 1
    status, _ = api.refused("GET", "experiments", made["id"])
    assert status == 301
    assert api.refused("GET", "aiexperiments", core["id"])[0] == 404
    for what in ("suggestions", "observations"):
        status, said = api.refused("POST", "experiments", made["id"], what)
        assert status == 403
        assert "please create runs instead" in said
    assert api("GET", "experiments", made["id"], "suggestions")["count"] == 0
    assert api("GET", "experiments")["count"] == 1
    assert api("GET", "experiments", include_ai="true")["count"] == 2
    assert api("GET", *PROJECT, "experiments")["count"] == 0
    assert api("GET", *PROJECT)["experiment_count"] == 1
    for path in (("aiexperiments",), ("clients", 1, "aiexperiments"), (*PROJECT, "aiexperiments")):
        assert [one["id"] for one in api("GET", *path)["data"]] == [made["id"]]


def test_the_core_route_makes_one_too(api: Api) -> None:
    body = {"name": "e", "parameters": PARAMETERS, "metrics": [{"name": "m"}]}
    made = api("POST", "experiments", **body, runs_only=True, project="p", budget=3)
    assert (made["object"], made["runs_only"], made["budget"]) == ("experiment", True, 3)
    assert api("GET", "aiexperiments", made["id"])["budget"] == 3
    assert api.refused("POST", "experiments", **body, runs_only=True, budget=3)[0] == 400
    assert api.refused("POST", "experiments", **body, budget=3)[0] == 400


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"metrics": []}, 'Missing required json key "metrics"'),
        ({"metrics": ["m"]}, "metrics"),
        ({"parameters": []}, "at least one parameter"),
        ({"observation_budget": 3}, "observation_budget"),
        ({"project": "p"}, "project"),
        ({"budget": 0}, "budget"),
        ({"metrics": [{"name": "a"}, {"name": "b"}]}, "budget is required"),
    ],
)
def test_what_an_ai_experiment_cannot_be(api: Api, more: dict[str, Any], message: str) -> None:
    body = {"name": "e", "parameters": PARAMETERS, "metrics": [{"name": "m"}], **more}
    status, said = api.refused("POST", *PROJECT, "aiexperiments", **body)
    assert status == 400
    assert message in said


def test_a_run_is_served_a_suggestion_and_becomes_an_observation(api: Api) -> None:
    experiment = create(api, budget=3)
    run = run_of(api, experiment, assignments={"own": 3.0})
    assert set(run["assignments"]) == {"x", "k", "own"}
    assert run["assignments_meta"]["x"]["source"] == "SigOpt"
    assert set(run["assignments_meta"]) == {"x", "k"}
    assert run["assignments_sources"]["SigOpt"]["sort"] == 1
    assert progress(api, experiment) == (0, 1, 2)
    done = finish(api, run, 0.5)
    assert done["observation"] is not None
    path = ("experiments", experiment["id"], "observations", done["observation"])
    observation = api("GET", *path)
    assert observation["suggestion"] == run["suggestion"]
    assert [(v["value"], v["value_stddev"]) for v in observation["values"]] == [(0.5, 0.0)]
    assert progress(api, experiment) == (1, 0, 2)
    # Later changes of the run leave it as it is.
    finish(api, run, 0.9)
    assert api("GET", *path) == observation
    assert api("GET", "experiments", experiment["id"], "observations")["count"] == 1


def test_a_queued_suggestion_is_served_first(api: Api) -> None:
    experiment = create(api)
    api("POST", "experiments", experiment["id"], "queued_suggestions", assignments=GIVEN)
    assert run_of(api, experiment)["assignments"] == GIVEN


def test_assignments_of_ones_own(api: Api) -> None:
    experiment = create(api)
    given = run_of(api, experiment, assignments=GIVEN)
    assert given["suggestion"] is not None
    assert given["assignments_meta"] == {}
    part = run_of(api, experiment, assignments={"x": 0.5})
    assert part["suggestion"] is None
    assert finish(api, part, 0.5)["observation"] is None
    values = {"m": {"value": 2.0}}
    done = run_of(api, experiment, assignments=GIVEN, values=values, state="completed")
    assert (done["suggestion"], done["observation"] is not None) == (None, True)
    lacking = run_of(api, experiment, assignments={"x": 0.5}, values=values, state="completed")
    assert lacking["observation"] is None
    assert best(api, experiment) == [done["id"]]


def test_a_run_that_fails_or_lacks_a_metric_is_a_failed_observation(api: Api) -> None:
    experiment = create(api)
    for state, value in (("failed", 1.0), ("completed", None)):
        done = finish(api, run_of(api, experiment), value, state)
        assert done["state"] == state
        path = ("experiments", experiment["id"], "observations", done["observation"])
        assert api("GET", *path)["failed"]
    assert best(api, experiment) == []


def test_best_runs_follow_deleting_and_undeleting(api: Api) -> None:
    experiment = create(api, budget=10)
    runs = [run_of(api, experiment) for _ in range(3)]
    for run, value in zip(runs, (1.0, 3.0, 2.0), strict=True):
        finish(api, run, value)
    assert best(api, experiment) == [runs[1]["id"]]
    assert progress(api, experiment) == (3, 0, 7)
    assert api("DELETE", "training_runs", runs[1]["id"])["observation"] is not None
    assert best(api, experiment) == [runs[2]["id"]]
    assert progress(api, experiment) == (2, 0, 8)
    api("DELETE", "training_runs", runs[1]["id"])
    api("PUT", "training_runs", runs[1]["id"], deleted=False)
    assert best(api, experiment) == [runs[1]["id"]]
    assert api("GET", "experiments", experiment["id"], "observations")["count"] == 3


def test_the_pareto_set_of_two_metrics(api: Api) -> None:
    metrics = [{"name": "m"}, {"name": "n"}]
    experiment = create(api, metrics=metrics, budget=9)
    made = []
    for m, n in ((1, 3), (3, 1), (2, 2), (0, 0)):
        run = run_of(api, experiment)
        values = {"m": {"value": m}, "n": {"value": n}}
        api("MERGE", "training_runs", run["id"], state="completed", values=values)
        made.append(run["id"])
    assert best(api, experiment) == [made[1], made[2], made[0]]


def test_it_is_archived_with_its_runs_or_without(api: Api) -> None:
    experiment = create(api)
    run = run_of(api, experiment)
    api("DELETE", "aiexperiments", experiment["id"])
    assert api("GET", "aiexperiments")["count"] == 0
    assert not api("GET", "training_runs", run["id"])["deleted"]
    with_path = ("aiexperiments", experiment["id"], "training_runs")
    assert api.refused("POST", *with_path, name="r")[0] == 400
    api("PUT", "aiexperiments", experiment["id"], state="active")
    assert api("DELETE", "aiexperiments", experiment["id"], include_runs="true") == {}
    assert api("GET", "training_runs", run["id"])["deleted"]
    other = create(api)
    assert api("DELETE", "experiments", other["id"]) == {}


def test_updates(api: Api) -> None:
    experiment = create(api, budget=3)
    path = ("aiexperiments", experiment["id"])
    changed = api("PUT", *path, name="f", budget=9, metadata={"a": 1})
    assert (changed["name"], changed["budget"]) == ("f", 9)
    assert api("PUT", *path, parameters=experiment["parameters"])["parameters"]
    for key in ("project", "observation_budget", "type"):
        assert api.refused("PUT", *path, **{key: 1})[0] == 400
    core = api("PUT", "experiments", experiment["id"], budget=7)
    assert (core["object"], core["budget"]) == ("experiment", 7)
    assert api("PUT", *path, budget=None)["progress"]["remaining_budget"] is None


def test_its_project_is_final(api: Api) -> None:
    """Though the core route takes one: its runs are in that project."""
    experiment = create(api)
    api("POST", *PROJECT[:3], id="elsewhere", name="Elsewhere")
    path = ("experiments", experiment["id"])
    assert api("PUT", *path, project=experiment["project"])["project"] == experiment["project"]
    for project in ("elsewhere", None, "nowhere"):
        assert api.refused("PUT", *path, project=project)[0] == 400
    assert api("GET", "aiexperiments", experiment["id"])["project"] == experiment["project"]


def test_put_away_with_its_runs_by_the_core_route(api: Api) -> None:
    experiment = create(api)
    runs = [run_of(api, experiment)["id"] for _ in "ab"]
    api("DELETE", "experiments", experiment["id"], include_runs="true", colour="blue")
    assert all(api("GET", "training_runs", run)["deleted"] for run in runs)


def test_of_several_that_finish_a_run_one_observation_comes(api: Api) -> None:
    experiment = create(api)
    run = run_of(api, experiment)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda value: finish(api, run, float(value)), range(8)))
    assert len({one["observation"] for one in done}) == 1
    assert api("GET", "experiments", experiment["id"], "observations")["count"] == 1


def test_a_run_whose_process_died_while_it_was_observed(api: Api) -> None:
    """The observation is there, and the run does not say so: finishing it again finds it."""
    experiment = create(api)
    run = run_of(api, experiment)
    runs = api.driver._store.runs
    finish(api, run, 1.0)
    before = runs.get(int(run["id"]))
    assert before is not None
    runs.change(before, lambda kept: {**kept, "observation": None, "state": "active",
                                      "completed": None})  # fmt: skip
    again = finish(api, run, 2.0)
    assert again["observation"] is not None
    assert api("GET", "experiments", experiment["id"], "observations")["count"] == 1


def test_runs_of_an_experiment_are_listed_by_a_filter(api: Api) -> None:
    experiment = create(api)
    run = run_of(api, experiment)
    api.run()
    filters = f'[{{"field": "experiment", "operator": "==", "value": "{experiment["id"]}"}}]'
    page = api("GET", *PROJECT, "training_runs", filters=filters)
    assert [one["id"] for one in page["data"]] == [run["id"]]
