"""Programs for SigOpt's runs and AI experiments, run as they are over a socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from sigopt.exception import ConflictingProjectException, ProjectNotFoundException
from sigopt.factory import SigOptFactory
from sigopt.local_run_context import LocalRunContext

from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.engine.client_programs import QUIET, TOKEN, new_client, not_dominated, served
from tests.engine.examples import refused
from tests.server.serving import serve_in_thread

X = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}
N = {"name": "n", "type": "int", "bounds": {"min": 1, "max": 9}}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("runs")) as address:
        yield address


@pytest.fixture
def factory(url: str, request: pytest.FixtureRequest) -> Any:
    """What the module ``sigopt`` itself calls, in a project of the test's own."""
    name = request.node.name.lower().replace("[", ".").replace("]", "")
    made = SigOptFactory(name[-32:], new_client(url))
    made.create_project()
    return made


def ran(experiment: Any, values: Any) -> list[Any]:
    """Go through an experiment's loop; ``values`` makes the metrics of the parameters."""
    runs = []
    for run in experiment.loop():
        with run:
            run.log_metrics(values(run.params))
        runs.append(run)
    return runs


def ids(runs: Any) -> list[str]:
    return [run.id for run in runs]


def test_projects(url: str, factory: Any) -> None:
    with pytest.raises(ConflictingProjectException):
        factory.create_project()
    nowhere = SigOptFactory("not-there", new_client(url))
    with pytest.raises(ProjectNotFoundException):
        nowhere.create_run()


def test_a_run_with_everything_that_can_be_logged(factory: Any) -> None:
    with factory.create_run(name="all", metadata={"seed": 3}) as run:
        run.params.depth = 4
        run.params.update({"rate": 0.5, "kind": "tree"})
        run.params.setdefaults({"depth": 1, "leaves": 7})
        run.set_parameters_source({"rate": 0.5}, "mine")
        run.set_parameters_sources_meta("mine", sort=1, default_show=True)
        run.log_dataset("digits")
        run.log_model("forest")
        run.log_metadata("host", "here")
        run.log_metadata("shape", (3, 4))
        run.log_dev_metadata("build", 12)
        run.log_sys_metadata("feature_importances", {"type": "gain", "scores": {"a": 1.0}})
        run.log_source_code(content="x = 1", hash="abc")
        run.set_logs({"stdout": "hello", "stderr": ""})
        run.log_metric("accuracy", 0.75, stddev=0.01)
        run.log_metrics(size=3, speed=2.5)
        for epoch in range(3):
            run.log_checkpoint({"accuracy": epoch / 10, "loss": 1})
    found = factory.get_run(run.id)
    assert (found.state, found.finished, found.checkpoint_count) == ("completed", True, 3)
    assert found.completed >= found.created
    assert dict(found.assignments) == {"depth": 4, "rate": 0.5, "kind": "tree", "leaves": 7}
    assert found.to_json()["assignments_meta"]["rate"]["source"] == "mine"
    assert dict(found.metadata) == {"seed": 3, "host": "here", "shape": "(3, 4)"}
    assert dict(found.dev_metadata) == {"build": 12}
    assert found.values["accuracy"].value_stddev == 0.01
    assert found.values["size"].value == 3
    assert list(found.datasets) == ["digits"]
    assert found.model.type == "forest"
    assert (found.source_code.content, found.source_code.hash) == ("x = 1", "abc")
    assert found.to_json()["logs"]["stdout"]["content"] == "hello"
    checkpoints = factory.connection.training_runs(run.id).checkpoints().fetch()
    assert [c.values[0].value for c in checkpoints.iterate_pages()] == [0.2, 0.1, 0.0]


def test_how_a_run_ends(factory: Any) -> None:
    with pytest.raises(ZeroDivisionError), factory.create_run() as run:
        run.log_metric("share", 1 / 0)
    assert factory.get_run(run.id).state == "failed"
    with factory.create_run() as run:
        run.log_failure()
    assert factory.get_run(run.id).state == "failed"
    run = factory.create_run()
    assert factory.get_run(run.id).state == "active"
    run.end()
    assert factory.get_run(run.id).state == "completed"
    factory.archive_run(run.id)
    assert factory.get_run(run.id).deleted
    factory.unarchive_run(run.id)
    assert not factory.get_run(run.id).deleted


def test_images(factory: Any, tmp_path: Path) -> None:
    picture = tmp_path / "dot.svg"
    picture.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    with factory.create_run() as run:
        refused(lambda: run.log_image(str(picture)), 404)
    driver = EmbeddedDriver(f"sqlite:///{tmp_path / 'server.db'}", seed=1, keeps_files=True)
    with serve_in_thread(driver, TOKEN, options=replace(QUIET, files=tmp_path / "f")) as (url, _):
        keeping = SigOptFactory("images", new_client(url))
        keeping.create_project()
        with keeping.create_run() as run:
            run.log_image(str(picture), name="a dot")
            run.log_image(np.zeros((4, 6, 3), dtype=np.uint8), name="black")
        drawing, array = keeping.get_run(run.id).to_json()["files"]
        contents = []
        for file_id in (drawing, array):
            # The client has no method for it.
            found = keeping.connection.impl.request("GET", ["files", file_id], {}, None)
            contents.append(requests.get(found["download"]["url"], timeout=30).content)
    driver.close()
    assert contents[0] == picture.read_bytes()
    assert contents[1].startswith(b"\x89PNG")


def test_runs_are_uploaded(factory: Any) -> None:
    made = []
    for number in range(25):
        local = LocalRunContext(name=f"run {number}", metadata={"optimizer": "mine"})
        local.log_parameters({"x": number}, "mine", {"sort": 1, "default_show": True})
        local.log_metrics(m=number)
        local.log_state("completed")
        made.append(local.get())
    uploaded = factory.upload_runs(made, max_batch_size=10)
    assert len(set(ids(uploaded))) == 25
    found = factory.get_run(uploaded[7].id)
    assert (found.name, found.assignments["x"], found.values["m"].value) == ("run 7", 7, 7)
    client, project = factory.ensure_project_exists()
    project = factory.connection.clients(client).projects(project)
    assert project.fetch().to_json()["training_run_count"] == 25
    listed = project.training_runs().fetch(limit=10).iterate_pages()
    assert ids(listed) == ids(uploaded)[::-1]
    refused(lambda: factory.upload_runs([made[0], {"name": ""}]), 400, "name")
    assert project.fetch().to_json()["training_run_count"] == 25


def test_an_experiment_is_gone_through(factory: Any) -> None:
    experiment = factory.create_experiment(
        name="loop",
        parameters=[X, N],
        metrics=[{"name": "m", "objective": "maximize"}],
        budget=6,
        metadata={"from": "a test"},
    )
    assert not experiment.is_finished()
    runs = ran(experiment, lambda params: {"m": params.x * params.n})
    assert len(runs) == 6
    assert experiment.is_finished()
    assert experiment.progress.remaining_budget == 0
    assert set(ids(experiment.get_runs())) == set(ids(runs))
    (best,) = experiment.get_best_runs()
    products = {run.id: run.params.x * run.params.n for run in runs}
    assert products[best.id] == max(products.values())
    assert best.to_json()["assignments_meta"]["x"]["source"] == "SigOpt"
    parameters = experiment.parameters
    by_name = {parameter.name: parameter for parameter in parameters}
    by_name["x"].bounds.max = 0.5
    by_name["n"].bounds.min = 0
    experiment.update(name="renamed", parameters=parameters, budget=8)
    again = factory.get_experiment(experiment.id)
    assert (again.name, again.budget) == ("renamed", 8)
    bounds = {p.name: (p.bounds.min, p.bounds.max) for p in again.parameters}
    assert bounds == {"n": (0, 9), "x": (0, 0.5)}
    assert len(ran(again, lambda params: {"m": 0})) == 2


def test_a_failed_round_is_learnt_from_and_counts(factory: Any) -> None:
    experiment = factory.create_experiment(
        name="failing", parameters=[X], metrics=[{"name": "m"}], budget=3
    )
    for number, run in enumerate(experiment.loop(name="round")):
        try:
            with run:
                if number == 1:
                    raise MemoryError("too large")
                run.log_metric("m", number)
        except MemoryError:
            pass
    states = [run.state for run in experiment.get_runs()]
    assert states == ["completed", "failed", "completed"]
    core = factory.connection.experiments(experiment.id)
    assert [o.failed for o in core.observations().fetch().iterate_pages()] == [False, True, False]


def test_two_metrics(factory: Any) -> None:
    experiment = factory.create_experiment(
        name="front",
        parameters=[X],
        metrics=[{"name": "gain"}, {"name": "cost", "objective": "minimize"}],
        budget=12,
    )
    runs = ran(experiment, lambda params: {"gain": params.x**2, "cost": params.x})
    points = {(run.params.x**2, run.params.x): run.id for run in runs}
    best = ids(experiment.get_best_runs())
    assert set(best) == {points[point] for point in not_dominated(list(points))}


def test_a_tree_of_scikit_learn_for_accuracy_and_size(factory: Any) -> None:
    from sklearn.datasets import load_iris
    from sklearn.model_selection import cross_val_score
    from sklearn.tree import DecisionTreeClassifier

    features, labels = load_iris(return_X_y=True)
    experiment = factory.create_experiment(
        name="tree",
        parameters=[
            {"name": "max_depth", "type": "int", "bounds": {"min": 1, "max": 6}},
            {
                "name": "criterion",
                "type": "categorical",
                "categorical_values": ["gini", "entropy"],
            },
            {
                "name": "ccp_alpha",
                "type": "double",
                "bounds": {"min": 1e-4, "max": 0.1},
                "transformation": "log",
            },
        ],
        metrics=[{"name": "accuracy"}, {"name": "leaves", "objective": "minimize"}],
        budget=8,
        parallel_bandwidth=1,
    )
    for run in experiment.loop():
        with run:
            tree = DecisionTreeClassifier(random_state=0, **run.params)
            scores = cross_val_score(tree, features, labels, cv=3)
            run.log_model(type(tree).__name__)
            run.log_dataset("iris")
            run.log_metric("accuracy", scores.mean(), stddev=scores.std())
            run.log_metric("leaves", tree.fit(features, labels).get_n_leaves())
    measured = [
        (run.values["accuracy"].value, run.values["leaves"].value) for run in experiment.get_runs()
    ]
    best = [
        (run.values["accuracy"].value, run.values["leaves"].value)
        for run in experiment.get_best_runs()
    ]
    assert len(measured) == 8
    assert set(best) == not_dominated(measured)


def test_constraints_only(factory: Any) -> None:
    experiment = factory.create_experiment(
        name="search",
        parameters=[X],
        metrics=[
            {"name": "low", "strategy": "constraint", "threshold": 0.2},
            {
                "name": "high",
                "strategy": "constraint",
                "objective": "minimize",
                "threshold": 0.8,
            },
            {"name": "kept", "strategy": "store"},
        ],
        budget=12,
    )
    runs = ran(
        experiment, lambda params: {"low": params.x, "high": params.x, "kept": params.x * 2}
    )
    within = {run.id for run in runs if 0.2 <= run.params.x <= 0.8}
    assert within
    assert set(ids(experiment.get_best_runs())) == within


def test_a_grid_is_gone_through_once(factory: Any) -> None:
    experiment = factory.create_experiment(
        name="grid",
        type="grid",
        parameters=[
            {"name": "depth", "type": "int", "grid": [3, 5, 7]},
            {"name": "kind", "type": "categorical", "categorical_values": ["a", "b"]},
        ],
        metrics=[{"name": "m"}],
    )
    runs = ran(experiment, lambda params: {"m": params.depth})
    assert [(run.params.depth, run.params.kind) for run in runs] == [
        (depth, kind) for kind in "ab" for depth in (3, 5, 7)
    ]


def test_random_search(factory: Any) -> None:
    experiment = factory.create_experiment(
        name="random", type="random", parameters=[X, N], metrics=[{"name": "m"}], budget=5
    )
    runs = ran(experiment, lambda params: {"m": params.x})
    assert len({run.params.x for run in runs}) == 5
    assert all(0 <= run.params.x <= 1 and run.params.n in range(1, 10) for run in runs)


def test_workers_in_threads_share_an_experiment(url: str, factory: Any) -> None:
    experiment = factory.create_experiment(
        name="shared", parameters=[X], metrics=[{"name": "m"}], budget=12, parallel_bandwidth=3
    )
    taken: list[tuple[str, str]] = []

    def work(name: str) -> None:
        # A connection of its own, as on a machine of its own.
        mine = SigOptFactory(factory.project, new_client(url))
        for run in mine.get_experiment(experiment.id).loop():
            with run:
                run.log_metadata("machine", name)
                run.log_metric("m", run.params.x)
            taken.append((run.id, name))

    workers = [threading.Thread(target=work, args=(f"m{number}",)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # Each looks first and then takes, so some may take one more, as on SigOpt's own server.
    assert 12 <= len(taken) <= 14
    found = {run.id: run.metadata["machine"] for run in experiment.get_runs()}
    assert found == dict(taken)


def test_an_experiment_is_archived_and_taken_up_again(factory: Any) -> None:
    experiment = factory.create_experiment(
        name="away", parameters=[X], metrics=[{"name": "m"}], budget=3
    )
    ran(experiment, lambda params: {"m": params.x})
    experiment.archive()
    assert experiment.state == "deleted"
    refused(experiment.create_run, 400, "deleted")
    factory.unarchive_experiment(experiment.id)
    assert factory.get_experiment(experiment.id).state == "active"
    factory.archive_experiment(experiment.id, include_runs=True)
    assert all(run.deleted for run in experiment.get_runs())
