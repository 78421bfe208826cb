"""An experiment survives its process: continue, kill -9, orphaned suggestions."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.experiments.opening import join_on
from nc_sigopt_strategy.experiments.sigopt_experiment import SigOptExperiment
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from tests.integration.fitting import configure, fit, outcome

pytestmark = pytest.mark.integration

_VICTIM = """
import json, os, sys
import numpy as np
import nc_sigopt_strategy
from pathlib import Path
from tests.conftest import INPUT_NAME, OUTPUT_NAME, Loader
from tests.integration.fitting import configure, fit

folder, model, images, labels, experiment_id, die_at = json.loads(sys.argv[1])
images, labels = np.load(images), np.load(labels)
calls = 0

class Accuracy:
    def __call__(self, graph):
        import tensorflow as tf
        global calls
        calls += 1
        with tf.compat.v1.Session(graph=graph) as session:
            logits = session.run(OUTPUT_NAME + ":0", {INPUT_NAME + ":0": images})
        if calls == die_at:
            os.kill(os.getpid(), 9)
        return float((logits.argmax(axis=1) == labels).mean())

kwargs = {"storage": "sqlite:///" + folder + "/store.sqlite3"}
if experiment_id:
    kwargs["sigopt_experiment_id"] = experiment_id
fit(Path(model), configure(Path(folder), kwargs, loss=0.9, max_trials=6),
    Loader(images, labels), Accuracy())
print("OUTCOME", json.dumps(nc_sigopt_strategy.last_outcome().to_json()))
"""


def test_continued_experiment_runs_no_observed_trial_again(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    fit(small_model, configure(tmp_path, max_trials=3), small_loader, small_accuracy)
    first, known = read_trials(tmp_path / "run"), outcome().experiment_id
    calls = []

    def counted(graph: Any) -> float:
        calls.append(1)
        return float(small_accuracy(graph))

    conf = configure(tmp_path, {"sigopt_experiment_id": known}, max_trials=5)
    assert fit(small_model, conf, small_loader, counted) is not None
    trials = read_trials(tmp_path / "run")
    assert outcome().experiment_id == known
    assert [t.number for t in trials] == [1, 2, 3, 4, 5]
    assert [t.assignments for t in trials[:3]] == [t.assignments for t in first]
    assert [t.accuracy for t in trials[:3]] == [t.accuracy for t in first]
    assert len(calls) == 1 + 2  # the baseline and two new trials
    assert known is not None
    fastest = min(
        (t for t in trials if t.meets_bound), key=lambda trial: trial.latency_seconds or 0.0
    )
    assert join_on(open_embedded(), known).best() == fastest.assignments


@pytest.mark.parametrize("die_at", [1, 2, 4])
def test_kill_loses_no_observed_trial(
    tmp_path: Path, small_model: Path, small_data: Any, small_labels: np.ndarray, die_at: int
) -> None:
    images, labels = tmp_path / "images.npy", tmp_path / "labels.npy"
    np.save(images, small_data[0])
    np.save(labels, small_labels)

    def run(experiment_id: str | None, die: int) -> subprocess.CompletedProcess[str]:
        request = [str(tmp_path), str(small_model), str(images), str(labels), experiment_id, die]
        return subprocess.run(
            [sys.executable, "-c", _VICTIM, json.dumps(request)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    killed = run(None, die_at)
    assert killed.returncode == -signal.SIGKILL
    connection = open_embedded(f"sqlite:///{tmp_path}/store.sqlite3")
    listed = list(connection.experiments().fetch().iterate_pages())
    observed = die_at - 2 if die_at > 1 else 0
    if die_at == 1:  # the baseline: there is no experiment yet
        assert listed == []
        return
    experiment = SigOptExperiment(connection, listed[0])
    before = [record for record, _ in experiment.trials()]
    assert len(before) == observed
    assert len(experiment.open_suggestions()) == 1
    orphan = experiment.open_suggestions()[0]

    finished = run(experiment.id, 0)
    assert finished.returncode == 0, finished.stderr[-2000:]
    after = [record for record, _ in experiment.trials()]
    assert after[:observed] == before
    assert dict(after[observed].assignments) == dict(orphan.assignments)
    assert [t.number for t in after] == [1, 2, 3, 4, 5, 6]
    assert experiment.open_suggestions() == []


def test_configuration_that_kills_twice_counts_as_failed(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    fit(small_model, configure(tmp_path, max_trials=2), small_loader, small_accuracy)
    known = outcome().experiment_id
    assert known is not None
    experiment = join_on(open_embedded(), known)
    values = {name: options[-1] for name, options in experiment.parameters.items()}
    orphan = experiment.suggest(3, assignments={**values, next(iter(values)): "int8"}, origin="t")
    experiment.take_over(orphan)

    conf = configure(tmp_path, {"sigopt_experiment_id": known}, max_trials=4)
    fit(small_model, conf, small_loader, small_accuracy)
    trials = read_trials(tmp_path / "run")
    assert "died twice" in str(trials[2].failure)
    assert trials[3].state.value == "observed"


def test_changed_model_is_refused(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    from nc_sigopt_strategy.errors import ExperimentError

    fit(small_model, configure(tmp_path, max_trials=1), small_loader, small_accuracy)
    conf = configure(tmp_path, {"sigopt_experiment_id": outcome().experiment_id})
    other = tmp_path / "other.pb"
    content = small_model.read_bytes().replace(b"block/bias2", b"block/bibs2")
    assert content != small_model.read_bytes()
    other.write_bytes(content)
    small_loader.inputs = small_loader.inputs + 1
    with pytest.raises(ExperimentError, match=r"model, data(, search space)? changed"):
        fit(other, conf, small_loader, small_accuracy)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_interrupt_from_outside_keeps_the_best(
    tmp_path: Path,
    small_model: Path,
    small_data: Any,
    small_labels: np.ndarray,
    number: signal.Signals,
    code: int,
) -> None:
    images, labels = tmp_path / "images.npy", tmp_path / "labels.npy"
    np.save(images, small_data[0])
    np.save(labels, small_labels)
    victim = _VICTIM.replace("max_trials=6", "max_trials=500").replace(
        "kwargs = {", 'kwargs = {"search_space": "full", '
    )
    request = [str(tmp_path), str(small_model), str(images), str(labels), None, 0]
    process = subprocess.Popen(
        [sys.executable, "-c", victim, json.dumps(request)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    best = tmp_path / "run" / "best_model.pb"
    for _ in range(3000):
        if best.exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(number)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == code
    # After SIGTERM ``fit`` does not come back, and the process ends.
    assert ("OUTCOME" in said) == (code == 0)
    found = read_outcome(tmp_path / "run")
    assert found.found
    assert found.stop_reason == "Interrupted."


def test_interrupted_default_is_measured_when_continued(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    calls = []

    def interrupted(graph: Any) -> float:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return float(small_accuracy(graph))

    conf = configure(tmp_path, loss=0.99, max_trials=5)
    assert fit(small_model, conf, small_loader, interrupted) is None
    known = outcome().experiment_id
    conf = configure(tmp_path, {"sigopt_experiment_id": known}, loss=0.99, max_trials=5)
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    trials = read_trials(tmp_path / "run")
    assert trials[0].interrupted
    assert trials[1].origin == "seed: default int8"
    assert trials[1].state.value == "observed"


def test_finished_and_unfinished_models_do_not_mix(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    fit(small_model, configure(tmp_path, max_trials=1), small_loader, small_accuracy)
    changed = {"sigopt_experiment_id": outcome().experiment_id, "finishing": "off"}
    with pytest.raises(ExperimentError, match="finishing changed"):
        fit(small_model, configure(tmp_path, changed), small_loader, small_accuracy)


def test_fp32_reference_is_restored_as_such(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    calls = []

    def default_fails(graph: Any) -> float:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("the default cannot be evaluated")
        return float(small_accuracy(graph))

    fit(small_model, configure(tmp_path, max_trials=2), small_loader, default_fails)
    known = outcome().experiment_id
    assert known is not None
    before = join_on(open_embedded(), known).read_record().reference
    assert before is not None
    assert before.model == "fp32"
    conf = configure(tmp_path, {"sigopt_experiment_id": known}, max_trials=4)
    fit(small_model, conf, small_loader, small_accuracy)
    assert outcome().fp32_latency_seconds == pytest.approx(before.seconds, rel=0.5)
    assert join_on(open_embedded(), known).read_record().reference == before


def test_changed_evaluation_is_refused(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    fit(small_model, configure(tmp_path, max_trials=2), small_loader, small_accuracy)
    conf = configure(tmp_path, {"sigopt_experiment_id": outcome().experiment_id}, max_trials=4)
    assert fit(small_model, conf, small_loader, lambda graph: 0.5 * small_accuracy(graph)) is None
    assert "the evaluation or its data changed" in outcome().stop_reason


def test_op_graph_is_recorded_and_experiments_without_one_go_on(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    fit(small_model, configure(tmp_path, max_trials=1), small_loader, small_accuracy)
    known = outcome().experiment_id
    assert known is not None
    experiment = join_on(open_embedded(), known)
    record = experiment.read_record()
    graph = record.op_graph
    assert graph is not None
    assert [p["name"] for p in graph["parameters"]] == list(experiment.parameters)
    assert graph["parameters"][0]["multiply_adds"] == 12 * 12 * 8 * 27
    assert len(graph["edges"]) == len(graph["parameters"]) - 1
    experiment.write_record(dataclasses.replace(record, op_graph=None))
    conf = configure(tmp_path, {"sigopt_experiment_id": known}, max_trials=2)
    fit(small_model, conf, small_loader, small_accuracy)
    assert len(read_trials(tmp_path / "run")) == 2
