"""``stored_metrics_func`` in a run: called once per model, kept with its trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.console.log_file import LOG_FILE
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.errors import ExperimentError, SettingsError
from nc_sigopt_strategy.experiments.opening import join_on
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from tests.integration.fitting import configure, fit, outcome

pytestmark = pytest.mark.integration


def count_nodes(graph: Any) -> dict[str, float]:
    return {"nodes": len(graph.as_graph_def().node)}


def test_metrics_are_kept_with_each_trial(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    import sigopt

    seen: list[float] = []

    def stored(graph: Any) -> dict[str, float]:
        seen.append(count_nodes(graph)["nodes"])
        return {"nodes": seen[-1], "half": seen[-1] / 2}

    store = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    kwargs = {"stored_metrics_func": stored, "storage": store, "latency_repeats": 4}
    conf = configure(tmp_path, kwargs, loss=0.9, max_trials=5)
    model = fit(small_model, conf, small_loader, small_accuracy)
    trials = read_trials(tmp_path / "run")
    measured = [t for t in trials if t.duplicate_of is None]
    assert [t.stored_metrics for t in measured] == [
        {"nodes": nodes, "half": nodes / 2} for nodes in seen[1:]
    ]
    assert all(t.stored_metrics for t in trials)
    assert all(t.phase_seconds["stored_metrics"] >= 0 for t in measured)
    best = read_outcome(tmp_path / "run").best
    assert best is not None
    assert best.stored_metrics["nodes"] == count_nodes(model.graph)["nodes"]
    connection = sigopt.Connection(driver=lambda **_: EmbeddedDriver(store))
    known = outcome().experiment_id
    assert known is not None
    document = connection.experiments(known).fetch()
    assert {m.name: m.strategy for m in document.metrics}["half"] == "store"
    kept = [record.stored_metrics for record, _ in join_on(connection, known).trials()]
    assert kept == [t.stored_metrics for t in trials]
    joined = {"storage": store, "sigopt_experiment_id": known}
    for other in ({}, {"stored_metrics_func": count_nodes}):
        conf = configure(tmp_path, {**joined, **other}, loss=0.9, max_trials=6)
        with pytest.raises(ExperimentError, match="stored metrics changed"):
            fit(small_model, conf, small_loader, small_accuracy)


def test_a_value_that_is_not_finite_fails_its_trial_only(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    calls: list[int] = []

    def stored(graph: Any) -> dict[str, float]:
        calls.append(1)
        return {"f1": float("nan") if len(calls) == 2 else 0.5}

    kwargs = {"stored_metrics_func": stored, "latency_repeats": 4}
    conf = configure(tmp_path, kwargs, loss=0.9, max_trials=3)
    fit(small_model, conf, small_loader, small_accuracy)
    first, *others = read_trials(tmp_path / "run")
    assert first.failure is not None
    assert "stored_metrics_func returned nan for 'f1'" in first.failure
    assert all(t.stored_metrics == {"f1": 0.5} for t in others)


def test_a_wrong_function_is_refused_before_anything_is_made(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    kwargs = {"stored_metrics_func": lambda graph: {"latency": 1.0}}
    with pytest.raises(SettingsError, match="'latency'"):
        fit(small_model, configure(tmp_path, kwargs), small_loader, small_accuracy)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [LOG_FILE]
