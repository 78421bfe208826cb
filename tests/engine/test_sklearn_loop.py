"""A scikit-learn program that tunes for accuracy and time at once, as SigOpt's users write it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.engine.client_programs import QUIET, everything, new_client, not_dominated, pairs
from tests.server.serving import serve_in_thread

BUDGET = 16


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    path = tmp_path_factory.mktemp("sklearn") / "server.db"
    driver = EmbeddedDriver(f"sqlite:///{path}", seed=1)
    with serve_in_thread(driver, options=QUIET) as served:
        yield served
    driver.close()


def test_accuracy_and_inference_time_of_a_forest(server: tuple[str, str]) -> None:
    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=0.4, random_state=0
    )
    conn = new_client(*server)
    experiment = conn.experiments().create(
        name="Forest on digits",
        parameters=[
            {
                "name": "n_estimators",
                "type": "int",
                "bounds": {"min": 1, "max": 60},
            },
            {"name": "max_depth", "type": "int", "bounds": {"min": 2, "max": 12}},
            {
                "name": "max_features",
                "type": "double",
                "bounds": {"min": 0.05, "max": 1.0},
                "transformation": "log",
            },
            {
                "name": "criterion",
                "type": "categorical",
                "categorical_values": ["gini", "entropy"],
            },
        ],
        metrics=[
            {"name": "accuracy", "objective": "maximize", "strategy": "optimize"},
            {"name": "inference_seconds", "objective": "minimize", "strategy": "optimize"},
            {"name": "training_seconds", "strategy": "store"},
        ],
        observation_budget=BUDGET,
    )
    own = conn.experiments(experiment.id)
    measured = []
    while experiment.progress.observation_count < experiment.observation_budget:
        suggestion = own.suggestions().create()
        forest = RandomForestClassifier(random_state=0, **suggestion.assignments.to_json())
        begun = time.perf_counter()
        forest.fit(train_x, train_y)
        trained = time.perf_counter()
        accuracy = float(forest.score(test_x, test_y))
        seconds = time.perf_counter() - trained
        own.observations().create(
            suggestion=suggestion.id,
            values=[
                {"name": "accuracy", "value": accuracy},
                {"name": "inference_seconds", "value": seconds},
                {"name": "training_seconds", "value": trained - begun},
            ],
        )
        measured.append((accuracy, seconds))
        experiment = own.fetch()
    best = pairs(
        everything(own.best_assignments().fetch(limit=3)), "accuracy", "inference_seconds"
    )
    assert len(measured) == BUDGET
    assert set(best) == not_dominated(measured)
    assert max(accuracy for accuracy, _ in best) > 0.8
    assert pairs(
        everything(own.observations().fetch(ascending=True)), "accuracy", "inference_seconds"
    ) == measured  # fmt: skip
