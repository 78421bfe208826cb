"""The strategy in INC's own loop, on a small real model."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from neural_compressor.strategy import STRATEGIES
from neural_compressor.utils.utility import CpuInfo

import nc_sigopt_strategy
from nc_sigopt_strategy.backends.finishing.tensorflow_version import runs_finished_graphs
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from nc_sigopt_strategy.results.trial_record import TrialState
from tests.conftest import INPUT_NAME, OUTPUT_NAME, logged
from tests.integration.finished import finished
from tests.integration.fitting import configure, fit, outcome

pytestmark = pytest.mark.integration


def test_default_quant_level_reaches_the_strategy(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    conf = configure(tmp_path)
    assert conf.quant_level == "auto"
    model = fit(small_model, conf, small_loader, small_accuracy)
    assert model is not None
    assert outcome().found
    trials = read_trials(tmp_path / "run")
    assert trials[0].origin == "seed: default int8"
    assert [t.number for t in trials] == [1, 2, 3, 4]
    assert all(t.state is TrialState.OBSERVED for t in trials)


def test_no_kwargs_at_all_is_enough(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    conf = configure(tmp_path, max_trials=2)
    conf.tuning_criterion.strategy_kwargs = None
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    assert (tmp_path / "workspace" / "sigopt" / "outcome.json").is_file()
    assert (tmp_path / "data" / "nc-sigopt-strategy" / "experiments.sqlite3").is_file()


def test_returned_model_is_the_measured_one_and_on_disk(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    model = fit(small_model, configure(tmp_path), small_loader, small_accuracy)
    best = outcome().best
    assert best is not None
    assert small_accuracy(model.model) == best.accuracy
    saved = tf.compat.v1.GraphDef()
    saved.ParseFromString((tmp_path / "run" / "best_model.pb").read_bytes())
    assert _nodes(saved) == _nodes(model.graph_def)


def test_recipe_rebuilds_the_same_graph_with_basic(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    kwargs = {"locked_ops": {"conv1": "fp32"}, "seed": 3}
    model = fit(small_model, configure(tmp_path, kwargs), small_loader, small_accuracy)
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    conf = configure(tmp_path, strategy="basic", max_trials=1, quant_level=1, op_name_dict=recipe)
    with nc_sigopt_strategy.fitted_weights():
        rebuilt = finished(fit(small_model, conf, small_loader, small_accuracy))
    assert _nodes(rebuilt.graph_def) == _nodes(model.graph_def)


def test_the_script_rebuilds_the_saved_model(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    kwargs = {"locked_ops": {"conv[01]": "bf16" if CpuInfo().bf16 else "fp32"}}
    fit(small_model, configure(tmp_path, kwargs, max_trials=1), small_loader, small_accuracy)
    data, made = tmp_path / "data.npy", tmp_path / "made.pb"
    np.save(data, np.stack([batch for batch, _ in small_loader][:4]))
    script = Path(__file__).parents[2] / "examples" / "recipes" / "rebuild_tensorflow.py"
    recipe = tmp_path / "run" / "recipe.json"
    subprocess.run(
        [sys.executable, script, small_model, INPUT_NAME, OUTPUT_NAME, recipe, data, made],
        check=True,
        timeout=300,
    )
    found, saved = (
        tf.compat.v1.GraphDef.FromString(path.read_bytes())
        for path in (made, tmp_path / "run" / "best_model.pb")
    )
    assert _nodes(found) == _nodes(saved)


def test_unfinished_the_recipe_alone_rebuilds_the_graph(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    kwargs = {
        "locked_ops": {"conv[01]": "bf16" if CpuInfo().bf16 else "fp32"},
        "finishing": "off",
        "calibration": "exact",
    }
    conf = configure(tmp_path, kwargs, max_trials=1)
    model = fit(small_model, conf, small_loader, small_accuracy)
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert not any(pattern.startswith("(?#") for pattern in recipe)
    conf = configure(tmp_path, strategy="basic", max_trials=1, quant_level=1, op_name_dict=recipe)
    rebuilt = fit(small_model, conf, small_loader, small_accuracy)
    assert _nodes(rebuilt.graph_def) == _nodes(model.graph_def)
    if CpuInfo().bf16 and runs_finished_graphs():
        assert _nodes(nc_sigopt_strategy.finish(rebuilt).graph_def) != _nodes(model.graph_def)


def node_kinds(graph: Any) -> float:
    """A latency by which what is quantized is twice as fast."""
    return 1.0 if any("Quantized" in op.type for op in graph.get_operations()) else 2.0


def test_winner_is_never_slower_than_a_feasible_default(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    # Everything meets the bound and all-fp32 is the most accurate, but the default is faster.
    conf = configure(tmp_path, {"latency_func": node_kinds}, loss=0.99)
    fit(small_model, conf, small_loader, small_accuracy)
    best = outcome().best
    assert best is not None
    assert best.latency_seconds == 1.0


def test_second_fit_with_the_same_configuration_works(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    conf = configure(tmp_path, max_trials=2, timeout=500)
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    first = outcome().experiment_id
    assert conf.tuning_criterion.timeout == 500
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    assert outcome().experiment_id != first


def test_without_evaluation_quantizes_the_default_and_makes_no_experiment(
    tmp_path: Path, small_model: Path, small_loader: Any
) -> None:
    assert fit(small_model, configure(tmp_path), small_loader, None) is not None
    assert not (tmp_path / "data").exists()


def test_works_with_eval_dataloader_and_metric(
    tmp_path: Path, small_model: Path, small_data: Any, small_labels: np.ndarray
) -> None:
    from neural_compressor.metric import METRICS

    from tests.conftest import Loader

    assert "topk" in METRICS("tensorflow").metrics
    loader = Loader(small_data[0], small_labels)
    conf = configure(tmp_path, max_trials=2)
    model = fit(small_model, conf, loader, None, eval_dataloader=loader, eval_metric={"topk": 1})
    assert model is not None
    assert outcome().baseline_accuracy == 1.0
    count = len(small_labels)
    for trial in read_trials(tmp_path / "run"):
        assert trial.paired is not None
        assert (trial.paired.inputs, trial.paired.of) == (count, count)
        assert trial.accuracy == pytest.approx(1.0 - trial.paired.lower / count)


def test_failing_trial_is_a_failed_observation_with_its_reason(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    calls = []

    def sometimes(graph: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("the disk of the evaluation data is gone")
        return float("nan") if len(calls) == 4 else small_accuracy(graph)

    assert fit(small_model, configure(tmp_path, max_trials=5), small_loader, sometimes) is not None
    trials = read_trials(tmp_path / "run")
    assert [t.state.value for t in trials] == [
        "observed", "failed", "failed", "observed", "observed",
    ]  # fmt: skip
    assert "the disk of the evaluation data is gone" in str(trials[1].failure)
    assert "nan" in str(trials[2].failure)


@pytest.mark.parametrize("result", ["0.9", None, float("nan"), [], [1.0, None]])
def test_nonsense_baseline_ends_tuning_with_a_reason(
    tmp_path: Path, small_model: Path, small_loader: Any, result: Any
) -> None:
    def nonsense(graph: Any) -> Any:
        return result

    assert fit(small_model, configure(tmp_path), small_loader, nonsense) is None
    assert not outcome().found
    said = read_outcome(tmp_path / "run").stop_reason
    assert "eval_func" in said or "empty list" in said


def test_lower_is_better(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    def error_rate(graph: Any) -> float:
        return 1.5 - small_accuracy(graph)

    conf = configure(tmp_path, loss=0.5, criterion="absolute", higher_is_better=False)
    assert fit(small_model, conf, small_loader, error_rate) is not None
    found = outcome()
    assert found.accuracy_target == pytest.approx(1.0)
    assert found.best is not None
    assert found.best.accuracy is not None
    assert found.best.accuracy <= 1.0


def test_weighted_metrics_follow_the_criterions_direction(
    tmp_path: Path, small_model: Path, small_loader: Any, small_data: Any, small_labels: np.ndarray
) -> None:
    from tests.conftest import Loader

    loader = Loader(small_data[0], small_labels)
    metric = {
        "topk": 1,
        "MSE": {"compare_label": False},
        "weight": [0.5, 0.5],
        "higher_is_better": [True, False],
    }
    conf = configure(tmp_path, loss=0.5, higher_is_better=False, max_trials=1)
    fit(small_model, conf, small_loader, None, eval_dataloader=loader, eval_metric=metric)
    found = outcome()
    assert found.higher_is_better is False
    assert found.baseline_accuracy is not None
    assert found.accuracy_target == pytest.approx(1.5 * found.baseline_accuracy)


def test_nothing_meets_the_bound(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    calls = []

    def falling(graph: Any) -> float:
        calls.append(1)
        return 1.0 if len(calls) == 1 else 0.5 * float(small_accuracy(graph))

    assert fit(small_model, configure(tmp_path, loss=0.01), small_loader, falling) is None
    found = outcome()
    assert not found.found
    assert found.best is None
    assert found.nearest_miss is not None
    assert found.nearest_miss.accuracy is not None
    assert found.nearest_miss.accuracy <= 0.5


def test_identical_graphs_are_measured_once(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    kwargs = {"excluded_ops": ["conv0", "conv1"], "sampler": "grid"}
    fit(small_model, configure(tmp_path, kwargs, max_trials=20), small_loader, small_accuracy)
    trials = read_trials(tmp_path / "run")
    configurations = 3 if CpuInfo().bf16 else 2
    assert f"All {configurations} configurations" in outcome().stop_reason
    assert len({json.dumps(t.assignments, sort_keys=True) for t in trials}) == configurations


def test_stops_at_first_when_told(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    # By the clock so small a model is no faster in int8, and does not count as found.
    settings = {"stop_at_first": True, "latency_func": node_kinds}
    conf = configure(tmp_path, settings, loss=0.99, max_trials=9)
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    assert outcome().trials == 1
    assert outcome().faster_than_fp32


def test_two_sampling_sizes_are_a_parameter(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    conf = configure(tmp_path, {"sampler": "random"}, loss=0.99, max_trials=6)
    conf.calibration_sampling_size = [16, 32]
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    sizes = [t.assignments["calib_sampling_size"] for t in read_trials(tmp_path / "run")]
    assert sizes[0] == "16"
    assert set(sizes) == {"16", "32"}


def test_other_objectives_are_said_to_be_ignored(
    tmp_path: Path,
    small_model: Path,
    small_loader: Any,
    small_accuracy: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nc_sigopt_strategy.hosts.inc.registration.logger.propagate", True)
    conf = configure(tmp_path, max_trials=1, loss=0.99)
    conf.tuning_criterion.objective = "modelsize"
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    assert any("['modelsize'] is not used" in r.getMessage() for r in caplog.records)


def test_users_latency_func_wins(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    def node_count(graph: Any) -> float:
        return 1e-3 * len(graph.get_operations())

    conf = configure(tmp_path, {"latency_func": node_count}, loss=0.99)
    model = fit(small_model, conf, small_loader, small_accuracy)
    best = outcome().best
    assert best is not None
    assert best.latency_seconds == pytest.approx(node_count(model.model))


def test_interrupt_keeps_the_best_so_far(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    calls = []

    def interrupted(graph: Any) -> float:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return float(small_accuracy(graph))

    conf = configure(tmp_path, loss=0.99, max_trials=9)
    assert fit(small_model, conf, small_loader, interrupted) is not None
    found = outcome()
    assert found.stop_reason == "Interrupted."
    assert found.trials == 3
    assert read_trials(tmp_path / "run")[-1].failure == "Interrupted."


def test_interrupt_that_somebody_swallows_still_ends_the_run(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    calls = []

    def swallows(graph: Any) -> float:
        calls.append(1)
        if len(calls) == 3:
            with contextlib.suppress(BaseException):
                signal.raise_signal(signal.SIGINT)
        return float(small_accuracy(graph))

    conf = configure(tmp_path, loss=0.99, max_trials=9)
    assert fit(small_model, conf, small_loader, swallows) is not None
    assert outcome().stop_reason == "Interrupted."
    assert len(calls) == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_live_bar_and_calibration_do_not_disturb_each_other(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    conf = configure(tmp_path, {"progress": True}, loss=0.99, max_trials=3)
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    drawn = capfd.readouterr().err
    assert "trial 3 of 3" in drawn
    assert "best so far" in drawn
    trials = read_trials(tmp_path / "run")
    assert {t.state for t in trials} == {TrialState.OBSERVED}


def test_open_files_do_not_grow(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    counts = []

    def counting(graph: Any) -> float:
        counts.append(len(os.listdir("/proc/self/fd")))
        return float(small_accuracy(graph))

    kwargs = {"sampler": "random", "search_space": "full"}
    conf = configure(tmp_path, kwargs, loss=0.99, max_trials=12)
    fit(small_model, conf, small_loader, counting)
    assert len(counts) > 8
    assert counts[-1] - counts[2] <= 3, counts
    assert list((tmp_path / "tmp").glob("*.log")) == []


def test_own_deadline_ends_the_run(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    def slow_accuracy(graph: Any) -> float:
        # The space has 8 configurations where the host has no bf16; they must not all fit in,
        # and one must, on a busy machine too.
        time.sleep(4)
        return float(small_accuracy(graph))

    conf = configure(tmp_path, loss=0.99, max_trials=500, timeout=15)
    assert fit(small_model, conf, small_loader, slow_accuracy) is not None
    assert outcome().stop_reason == "The time of 15 s is up."
    assert outcome().trials < 500


def test_trial_timeout_fails_the_trial(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    conf = configure(tmp_path, {"trial_timeout_seconds": 0.001}, max_trials=2)
    assert fit(small_model, conf, small_loader, small_accuracy) is None
    assert all("trial_timeout_seconds" in str(t.failure) for t in read_trials(tmp_path / "run"))


def test_basic_afterwards_is_stock(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    fit(small_model, configure(tmp_path, max_trials=1), small_loader, small_accuracy)
    conf = configure(tmp_path, strategy="basic", loss=0.99)
    assert type(STRATEGIES["auto"](**_stock_arguments(small_model, conf))).__name__ == (
        "AutoTuneStrategy"
    )
    assert fit(small_model, conf, small_loader, small_accuracy) is not None


def test_quant_level_0_warns_and_runs_conservative(
    tmp_path: Path,
    small_model: Path,
    small_loader: Any,
    small_accuracy: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nc_sigopt_strategy.hosts.inc.registration.logger.propagate", True)
    conf = configure(tmp_path, quant_level=0, loss=0.99)
    fit(small_model, conf, small_loader, small_accuracy)
    assert sum("quant_level=0" in message for message in logged(caplog)) == 1
    assert not (tmp_path / "run").exists()


def test_convenience_configuration_is_incs() -> None:
    conf = nc_sigopt_strategy.PostTrainingQuantConfig(
        strategy_kwargs={"sigopt_experiment_name": "mine"}, max_trials=7, timeout=3
    )
    from neural_compressor import config

    assert type(conf) is config.PostTrainingQuantConfig
    assert conf.tuning_criterion.strategy == "sigopt"
    assert conf.tuning_criterion.max_trials == 7
    assert conf.tuning_criterion.timeout == 3


def _nodes(graph_def: Any) -> dict[str, bytes]:
    return {node.name: node.SerializeToString(deterministic=True) for node in graph_def.node}


def _stock_arguments(model: Path, conf: Any) -> dict[str, Any]:
    from neural_compressor.config import _Config
    from neural_compressor.model import Model

    whole = _Config(quantization=conf, benchmark=None, pruning=None, distillation=None, nas=None)
    return {"model": Model(str(model), conf=conf), "conf": whole}


def test_the_outcome_says_what_each_op_of_the_winner_is_worth(
    tmp_path: Path,
    small_model: Path,
    small_loader: Any,
    small_accuracy: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kwargs = {"latency_repeats": 4}
    conf = configure(tmp_path, kwargs, loss=0.9, max_trials=9)
    fit(small_model, conf, small_loader, small_accuracy)
    best = outcome().best
    assert best is not None
    contributions = outcome().op_contributions
    # So small a model may be the fastest in fp32; of that there is nothing to say op by op.
    types = set(best.assignments.values())
    assert {c.value for c in contributions} == (types if types != {"fp32"} else {"int8"})
    assert all("conv" in c.op for c in contributions)
    assert read_outcome(tmp_path / "run").op_contributions == contributions

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("no model of it")

    monkeypatch.setattr("nc_sigopt_strategy.winners.contributions.op_contributions", broken)
    conf = configure(tmp_path, kwargs, loss=0.9, max_trials=1)
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    assert outcome().found
    assert outcome().op_contributions == ()
