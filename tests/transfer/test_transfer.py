"""Experiments carried between stores, a server and files, as a user does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.server.serving import serve_in_thread

PARAMETERS = [
    {
        "name": "rate",
        "type": "double",
        "bounds": {"min": 1e-5, "max": 1.0},
        "transformation": "log",
    },
    {"name": "depth", "type": "int", "bounds": {"min": 1, "max": 9}},
    {
        "name": "loss",
        "type": "categorical",
        "categorical_values": [{"name": "l1"}, {"name": "l2"}],
    },
]
METRICS = [
    {"name": "loss", "objective": "minimize"},
    {"name": "acc", "objective": "maximize", "strategy": "constraint", "threshold": 0.9},
]


def said(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["experiments", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def make(connection: Any, count: int) -> str:
    experiment = connection.experiments().create(
        name="carried", parameters=PARAMETERS, metrics=METRICS, observation_budget=40,
        parallel_bandwidth=2, metadata={"who": "we"},
    )  # fmt: skip
    endpoint = connection.experiments(experiment.id)
    for number in range(count):
        endpoint.observations().create(
            assignments={"rate": 10.0 ** -(number % 5), "depth": 1 + number % 9, "loss": "l2"},
            values=[
                {"name": "loss", "value": 1.0 / (1 + number), "value_stddev": 0.5},
                {"name": "acc", "value": 0.8 + 0.01 * number},
            ],
            metadata={"number": number},
        )
    suggestion = endpoint.suggestions().create()
    endpoint.observations().create(suggestion=suggestion.id, failed=True)
    return str(experiment.id)


@pytest.fixture
def store(tmp_path: Path) -> tuple[str, str]:
    """URL of a store, and the id of its experiment of 8 observations."""
    url = f"sqlite:///{tmp_path / 'from.sqlite3'}"
    connection = open_embedded(url, sampler="random", seed=1)
    experiment_id = make(connection, 7)
    connection.impl.driver.close()
    return url, experiment_id


def whole(connection: Any, experiment_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An experiment without what differs between two places, and its observations."""
    endpoint = connection.experiments(experiment_id)
    experiment = endpoint.fetch().to_json()
    for key in ("id", "created", "updated", "project", "progress", "client", "user"):
        experiment.pop(key, None)
    pages = endpoint.observations().fetch(sort="id", ascending=True).iterate_pages()
    kept = ("assignments", "values", "failed", "metadata")
    found = [{key: one.to_json().get(key) for key in kept} for one in pages]
    return experiment, found


def opened(url: str) -> Any:
    return open_embedded(url, sampler="random", seed=1)


def test_from_a_store_to_a_server_and_back(
    store: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, experiment_id = store
    first, back = str(tmp_path / "first.json"), str(tmp_path / "back.json")
    said("export", experiment_id, "--storage", url, "--output", first)
    driver = EmbeddedDriver(f"sqlite:///{tmp_path / 'server.sqlite3'}", sampler="random", seed=1)
    with serve_in_thread(driver) as (address, token):
        monkeypatch.setenv("SIGOPT_API_TOKEN", token)
        there = said("import", first, "--server", address, "--project", "moved").strip()
        said("export", there, "--server", address, "--output", back)
    driver.close()
    other = f"sqlite:///{tmp_path / 'to.sqlite3'}"
    here = said("import", back, "--storage", other).strip()
    assert whole(opened(url), experiment_id) == whole(opened(other), here)
    assert len(whole(opened(other), here)[1]) == 8


def test_what_was_observed_before_the_parameters_were_changed_comes_along(
    store: tuple[str, str], tmp_path: Path
) -> None:
    url, experiment_id = store
    connection = opened(url)
    changed = [
        {"name": "rate", "bounds": {"min": 1e-3, "max": 0.5}},
        {"name": "depth", "bounds": {"min": 4, "max": 5}},
        {"name": "loss", "categorical_values": ["l1", "huber"]},
    ]
    connection.experiments(experiment_id).update(parameters=changed)
    first, other = str(tmp_path / "first.json"), f"sqlite:///{tmp_path / 'to.sqlite3'}"
    said("export", experiment_id, "--storage", url, "--output", first)
    here = said("import", first, "--storage", other).strip()
    (was, rows), (now, copied) = whole(connection, experiment_id), whole(opened(other), here)
    assert rows == copied
    assert {row["assignments"]["loss"] for row in rows} >= {"l2"}
    for experiment in (was, now):
        for value in experiment["parameters"][1]["categorical_values"]:
            del value["enum_index"]
    assert was == now
    suggested = opened(other).experiments(here).suggestions().create().assignments
    assert suggested["loss"] in ("l1", "huber")
    assert suggested["depth"] in (4, 5)


def test_what_sigopts_api_showed_is_read(store: tuple[str, str], tmp_path: Path) -> None:
    """An experiment and a page of its observations, the newest first, each as it was fetched."""
    url, experiment_id = store
    endpoint = opened(url).experiments(experiment_id)
    experiment, page = tmp_path / "experiment.json", tmp_path / "page.json"
    experiment.write_text(json.dumps(endpoint.fetch().to_json()))
    page.write_text(json.dumps(endpoint.observations().fetch().to_json()))
    other = f"sqlite:///{tmp_path / 'to.sqlite3'}"
    made = said("import", str(experiment), "--observations", str(page), "--storage", other).strip()
    assert whole(opened(url), experiment_id) == whole(opened(other), made)


def test_a_table_beside_the_file_that_makes_an_experiment(tmp_path: Path) -> None:
    (tmp_path / "experiment.yml").write_text(
        "name: left over\n"
        "metrics: [{name: loss, objective: minimize}]\n"
        "parameters:\n"
        "  - {name: depth, type: int, bounds: {min: 1, max: 9}}\n"
        "  - {name: loss, type: categorical, categorical_values: [l1, l2]}\n"
    )
    (tmp_path / "rows.csv").write_text(
        "id,depth,parameter.loss,metric.loss,stddev.loss,failed,metadata.host,comment\n"
        "1,3,l1,0.25,0.01,false,a,first\n"
        "2,4.0,l2,,,True,,\n"
    )
    url = f"sqlite:///{tmp_path / 'to.sqlite3'}"
    files = (str(tmp_path / "experiment.yml"), "--observations", str(tmp_path / "rows.csv"))
    made = said("import", *files, "--storage", url).strip()
    experiment, rows = whole(opened(url), made)
    assert experiment["name"] == "left over"
    value = {"object": "metric_evaluation", "name": "loss", "value": 0.25, "value_stddev": 0.01}
    assert rows[0] == {
        "assignments": {"depth": 3, "loss": "l1"},
        "values": [value],
        "failed": False,
        "metadata": {"host": "a"},
    }
    assert rows[1]["failed"]
    assert rows[1]["assignments"] == {"depth": 4, "loss": "l2"}


def test_an_ai_experiment_with_its_runs(tmp_path: Path) -> None:
    """Finished, failed and active runs; deleted ones stay behind."""
    source = f"sqlite:///{tmp_path / 'from.sqlite3'}"
    connection = opened(source)
    connection.clients("1").projects().create(id="p", name="P")
    project = connection.clients("1").projects("p")
    made = project.aiexperiments().create(
        name="e", parameters=PARAMETERS, metrics=[{"name": "m"}], budget=9
    )
    endpoint = connection.aiexperiments(made.id)
    for number, state in enumerate(("completed", "failed", "active", "completed")):
        run = endpoint.training_runs().create(name=f"run {number}", metadata={"number": number})
        values = {"m": {"value": number + 0.5, "value_stddev": 0.1}}
        logs = {"out": {"content": "said"}}
        connection.training_runs(run.id).update(state=state, values=values, logs=logs)
    connection.training_runs(run.id).delete()
    first = str(tmp_path / "first.json")
    said("export", made.id, "--storage", source, "--output", first)
    target = f"sqlite:///{tmp_path / 'to.sqlite3'}"
    there = said("import", first, "--storage", target, "--project", "q").strip()
    other = opened(target)
    found = other.aiexperiments(there).fetch()
    assert (found.name, found.budget, found.progress.finished_run_count) == ("e", 9, 2)
    runs = list(other.clients("1").projects("q").training_runs().fetch().iterate_pages())
    assert [run.name for run in runs] == ["run 2", "run 1", "run 0"]
    assert dict(runs[2].values["m"].to_json())["value"] == 0.5
    (best,) = other.aiexperiments(there).best_training_runs().fetch().iterate_pages()
    assert best.name == "run 0"
    assert best.to_json()["logs"]["out"]["content"] == "said"


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ("depth,loss\n3,0.5\n", "no column for the parameter 'x'"),
        ("depth,x,loss\n3,1.5,much\n", "line 2, column 'loss' holds 'much'"),
        ("depth,x,loss\n3.5,1.5,1\n", "takes a whole number"),
        ("depth,x,loss\n3,,1\n", "column 'x' holds ''"),
        ("depth,x,loss,failed\n3,1,1,maybe\n", "takes true or false"),
        (
            "depth,x,loss\n3,7.5,1\n",
            "Observation 1 is refused (400): Invalid value for",
        ),
        ("", "it has none"),
    ],
)
def test_a_table_that_does_not_fit(rows: str, part: str, tmp_path: Path) -> None:
    parameters = [
        {"name": "depth", "type": "int", "bounds": {"min": 1, "max": 9}},
        {"name": "x", "type": "double", "bounds": {"min": 0, "max": 2}},
    ]
    experiment = {"name": "n", "parameters": parameters, "metrics": [{"name": "loss"}]}
    (tmp_path / "e.json").write_text(json.dumps(experiment))
    (tmp_path / "rows.csv").write_text(rows)
    url = f"sqlite:///{tmp_path / 'to.sqlite3'}"
    files = (str(tmp_path / "e.json"), "--observations", str(tmp_path / "rows.csv"))
    output = said("import", *files, "--storage", url, code=2)
    assert part in " ".join(output.split())
    assert list(opened(url).experiments().fetch().iterate_pages()) == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[1]", "holds no experiment: list"),
        ('{"name": "x"}', "['name'] has no parameters"),
        ('{"schema_version": 9}', "schema_version 9"),
        ('{"parameters": [], "observations": 3}', "of type int, not a list"),
        ('{"parameters": [], "observations": [{}]}', "Observation 1 has no assignments"),
        ("{", "cannot be read"),
    ],
)
def test_a_file_that_holds_no_experiment(text: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text(text)
    url = f"sqlite:///{tmp_path / 'to.sqlite3'}"
    output = said("import", str(tmp_path / "e.json"), "--storage", url, code=2)
    assert part in " ".join(output.split())


def test_what_an_engine_does_not_know_can_be_left_out(tmp_path: Path) -> None:
    experiment = {
        "name": "n",
        "parameters": [PARAMETERS[0], {**PARAMETERS[0], "name": "other"}],
        "metrics": METRICS[:1],
        "linear_constraints": [
            {"type": "less_than", "threshold": 1, "terms": [{"name": "rate", "weight": 1}]}
        ],
    }
    (tmp_path / "e.json").write_text(json.dumps(experiment))
    url = f"sqlite:///{tmp_path / 'to.sqlite3'}"
    arguments = ("import", str(tmp_path / "e.json"), "--storage", url)
    assert "--without linear_constraints" in said(*arguments, code=2)
    assert "has no tasks to leave out" in said(*arguments, "--without", "tasks", code=2)
    said(*arguments, "--without", "linear_constraints")


def test_a_token_is_needed_for_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SIGOPT_API_TOKEN", raising=False)
    monkeypatch.setenv("SIGOPT_HOME", str(tmp_path))
    monkeypatch.setattr("nc_sigopt_strategy.transfer.places.find_token", lambda settings: None)
    output = said(
        "export", "1", "--server", "http://127.0.0.1:1", "--output", str(tmp_path / "x.json"),
        code=2,
    )  # fmt: skip
    assert "Set SIGOPT_API_TOKEN" in output
