"""A whole front: accuracy and latency optimized at once, on the small model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nc_sigopt_strategy
from nc_sigopt_strategy.backends.tensorflow import TensorFlowBackend, read_graph_def
from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from tests.integration.fitting import configure, fit, outcome

pytestmark = pytest.mark.integration

PARETO = {"goal": "pareto", "latency_repeats": 4}


def share_of_int8(graph: Any) -> float:
    return sum("uantized" in node.op for node in graph.as_graph_def().node)


def slower_and_better(graph: Any) -> float:
    """An accuracy that falls with the number of quantized ops."""
    return 1.0 - 0.01 * share_of_int8(graph)


def seconds(graph: Any) -> float:
    """A latency that falls with it, too."""
    return 1.0 / (1.0 + share_of_int8(graph))


@pytest.mark.parametrize("sampler", ["quantization", "tpe"])
def test_the_front_is_returned_and_on_disk(
    tmp_path: Path, small_model: Path, small_loader: Any, sampler: str
) -> None:
    kwargs = {**PARETO, "latency_func": seconds, "sampler": sampler}
    conf = configure(tmp_path, kwargs, loss=0.0, max_trials=8)
    model = fit(small_model, conf, small_loader, slower_and_better)
    run = tmp_path / "run"
    found = outcome()
    assert read_outcome(run) == found
    assert len(found.front) >= 2
    pairs = [(t.latency_seconds, t.accuracy) for t in found.front]
    assert pairs == sorted(pairs)
    assert len({accuracy for _, accuracy in pairs}) == len(pairs)
    names = {f"trial_{t.number:04d}{end}" for t in found.front for end in (".pb", ".json")}
    assert {p.name for p in (run / "front").iterdir()} == names
    # Only FP32 loses nothing, and it is the slowest.
    assert found.found
    assert found.best is not None
    assert found.best.number == found.front[-1].number
    assert found.best.meets_bound
    assert slower_and_better(model.graph) == found.best.accuracy
    backend: Any = TensorFlowBackend()
    for member in found.front:
        assert member.model_path is not None
        graph_def = read_graph_def(run / member.model_path)
        assert 1.0 - 0.01 * sum("uantized" in n.op for n in graph_def.node) == member.accuracy
    written = type("Model", (), {"graph_def": read_graph_def(run / "best_model.pb")})
    assert backend.fingerprint(written) == backend.fingerprint(model)


def test_a_recipe_of_the_front_rebuilds_its_model(
    tmp_path: Path, small_model: Path, small_loader: Any
) -> None:
    conf = configure(tmp_path, {**PARETO, "latency_func": seconds}, loss=0.0, max_trials=5)
    fit(small_model, conf, small_loader, slower_and_better)
    fastest = outcome().front[0]
    assert fastest.model_path is not None
    recipe = json.loads((tmp_path / "run" / fastest.model_path).with_suffix(".json").read_text())
    again = configure(
        tmp_path / "again", None, strategy="basic", loss=0.9, max_trials=1, op_name_dict=recipe
    )
    with nc_sigopt_strategy.fitted_weights():
        rebuilt = fit(small_model, again, small_loader, slower_and_better)
    assert slower_and_better(rebuilt.graph) == fastest.accuracy


def test_without_one_that_meets_the_criterion_the_most_accurate_is_returned(
    tmp_path: Path, small_model: Path, small_loader: Any
) -> None:
    def accuracy(graph: Any) -> float:
        # Whatever was quantized or converted loses a lot: FP32 alone has no Cast and no int8.
        nodes = graph.as_graph_def().node
        return 1.0 if share_of_int8(graph) == 0 and len(nodes) > 99 else slower_and_better(graph)

    baseline = {"seen": False}

    def falling(graph: Any) -> float:
        if not baseline["seen"]:
            baseline["seen"] = True
            return 2.0
        return accuracy(graph)

    conf = configure(tmp_path, {**PARETO, "latency_func": seconds}, loss=0.0, max_trials=5)
    model = fit(small_model, conf, small_loader, falling)
    found = outcome()
    assert found.found
    assert found.best is not None
    assert not found.best.meets_bound
    assert found.best.accuracy == max(t.accuracy or 0.0 for t in found.front)
    assert model is not None


def test_continued_by_another_process_the_front_is_whole(
    tmp_path: Path, small_model: Path, small_loader: Any
) -> None:
    kwargs = {**PARETO, "latency_func": seconds}
    fit(
        small_model,
        configure(tmp_path, kwargs, loss=0.0, max_trials=4),
        small_loader,
        slower_and_better,
    )
    before = outcome()
    joined = {**kwargs, "sigopt_experiment_id": before.experiment_id}
    elsewhere = {**joined, "output_dir": str(tmp_path / "other")}
    conf = configure(tmp_path, elsewhere, loss=0.0, max_trials=5)
    assert fit(small_model, conf, small_loader, slower_and_better) is not None
    after = outcome()
    assert len(read_trials(tmp_path / "other")) == 5
    assert len(after.front) >= len(before.front) >= 2
    assert [t.meets_bound for t in after.front[:-1]] == [False] * (len(after.front) - 1)
    for member in after.front:
        assert member.model_path is not None
        assert (tmp_path / "other" / member.model_path).is_file()
    other_goal = {key: value for key, value in joined.items() if key != "goal"}
    with pytest.raises(ExperimentError, match="goal changed"):
        fit(
            small_model,
            configure(tmp_path, other_goal, loss=0.0, max_trials=6),
            small_loader,
            slower_and_better,
        )


def test_a_new_front_replaces_the_files_of_an_old_one(
    tmp_path: Path, small_model: Path, small_loader: Any
) -> None:
    old = tmp_path / "run" / "front"
    old.mkdir(parents=True)
    (old / "trial_0099.pb").write_bytes(b"of an earlier run")
    conf = configure(tmp_path, {**PARETO, "latency_func": seconds}, max_trials=1)
    fit(small_model, conf, small_loader, slower_and_better)
    assert {p.name for p in old.iterdir()} == {"trial_0001.pb", "trial_0001.json"}
