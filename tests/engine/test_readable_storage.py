"""What optuna-dashboard reads of a store."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest
from optuna.trial import TrialState

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.engine.database.opening import open_storage
from nc_sigopt_strategy.engine.readable_storage import ReadableStorage

EXPERIMENT = {
    "name": "nc-tune",
    "project": "int8",
    "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
    "metrics": [
        {"name": "latency", "objective": "minimize"},
        {"name": "accuracy", "strategy": "constraint", "threshold": 0.92},
    ],
    "observation_budget": 9,
    "metadata": {"owner": "we"},
}
RECORD = {"model": "mobilenet.pb", "accuracy_target": 0.9207, "baseline_accuracy": 0.93}


@pytest.fixture
def driver(storage_url: str) -> Iterator[EmbeddedDriver]:
    made = EmbeddedDriver(storage_url, sampler="random", seed=1)
    made.answer("POST", ["clients", "1", "projects"], {"id": "int8", "name": "Int8"})
    yield made
    made.close()


@pytest.fixture
def storage(driver: EmbeddedDriver, storage_url: str) -> Iterator[ReadableStorage]:
    made = open_storage(Location(storage_url), ReadableStorage)
    assert isinstance(made, ReadableStorage)
    yield made
    made.remove_session()
    made.engine.dispose()


def test_an_experiment_is_called_by_its_name(
    driver: EmbeddedDriver, storage: ReadableStorage
) -> None:
    made = driver.answer("POST", ["experiments"], dict(EXPERIMENT))
    driver.answer("PUT", ["experiments", made["id"], "record"], {"record": RECORD})
    (study,) = storage.get_all_studies()
    assert study.study_name == f"nc-tune ({made['id']})"
    assert study.user_attrs == {
        "project": "int8",
        "type": "offline",
        "state": "active",
        "observation_budget": 9,
        "metrics": "accuracy (constraint, maximize, threshold 0.92), latency (optimize, minimize)",
        "metadata.owner": "we",
    }
    assert study.system_attrs["study:metric_names"] == ["latency"]
    note = study.system_attrs["dashboard:note_str:0"]
    assert "Model: mobilenet.pb" in note
    assert "Accuracy bound: 0.9207" in note
    # What a person has written stays.
    storage.set_study_system_attr(study._study_id, "dashboard:note_ver", 1)
    storage.set_study_system_attr(study._study_id, "dashboard:note_str:0", "mine")
    (study,) = storage.get_all_studies()
    assert study.system_attrs["dashboard:note_str:0"] == "mine"


def test_what_was_observed_are_plain_attributes(
    driver: EmbeddedDriver, storage: ReadableStorage
) -> None:
    path = ["experiments", driver.answer("POST", ["experiments"], dict(EXPERIMENT))["id"]]
    made = driver.answer("POST", [*path, "suggestions"], {"metadata": {"origin": "sampler"}})
    values = [
        {"name": "latency", "value": 0.5, "value_stddev": 0.1},
        {"name": "accuracy", "value": 0.93},
    ]
    body = {"suggestion": made["id"], "values": values, "metadata": {"latency_ratio": 0.25}}
    driver.answer("POST", [*path, "observations"], body)
    failed = driver.answer("POST", [*path, "suggestions"], {})
    driver.answer("POST", [*path, "observations"], {"suggestion": failed["id"], "failed": True})
    driver.answer("POST", [*path, "queued_suggestions"], {"assignments": {"x": 0.5}})
    driver.answer("POST", [*path, "suggestions"], {"assignments": {"x": 0.25}})
    (study,) = storage.get_all_studies()
    trials = storage.get_all_trials(study._study_id, deepcopy=False)
    assert [trial.user_attrs for trial in trials] == [
        {
            "suggestion.origin": "sampler",
            "latency": 0.5,
            "latency stddev": 0.1,
            "accuracy": 0.93,
            "latency_ratio": 0.25,
        },
        {"failed": True},
        {"queued": True},
        {},
    ]
    running = storage.get_all_trials(study._study_id, states=(TrialState.RUNNING,))
    assert [trial.params for trial in running] == [{"x": 0.25}]


def test_others_studies_are_shown_as_they_are(storage: ReadableStorage) -> None:
    study = optuna.create_study(storage=storage, study_name="theirs")
    study.set_user_attr("experiment", "a word")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    (found,) = storage.get_all_studies()
    assert (found.study_name, found.user_attrs) == ("theirs", {"experiment": "a word"})
    assert [trial.user_attrs for trial in storage.get_all_trials(found._study_id)] == [{}]
