"""Calibrating once in runs of INC's own ``fit``: sigopt, other strategies, and bad data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from neural_compressor.adaptor.tf_utils.graph_converter import GraphConverter
from neural_compressor.data import DataLoader

from nc_sigopt_strategy.backends.tensorflow import TensorFlowBackend
from nc_sigopt_strategy.hosts.inc.calibration import (
    CalibratedOnce,
    tensorflow_pass,
    tensorflow_statistics,
)
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from tests.conftest import INPUT_NAME, OUTPUT_NAME, Loader
from tests.integration.fitting import configure, fit, outcome

pytestmark = pytest.mark.integration


@pytest.fixture
def tune(tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any) -> Any:
    """Run the sigopt strategy and return what it says of its calibration."""

    def tune(loader: Any = small_loader, model: Any = small_model, **kwargs: Any) -> Any:
        # A sampler that measured latencies do not steer: runs are compared trial by trial.
        conf = configure(tmp_path, {"sampler": "random", **kwargs}, loss=0.99, max_trials=5)
        fit(model, conf, loader, small_accuracy)
        return outcome().calibration

    return tune


def graphs(folder: Path) -> list[str]:
    """Accuracy and noise of each trial, which tell graphs apart."""
    return [f"{t.assignments} {t.accuracy} {t.output_noise}" for t in read_trials(folder / "run")]


# --- counts ---


def test_one_pass_serves_all_trials(tune: Any, tmp_path: Path) -> None:
    calibration = tune(search_space="full")
    assert calibration["passes"] == 1
    assert calibration["fed"] >= 2
    assert calibration["stock"] == {}
    assert calibration["seconds"] > 0
    assert dict(read_outcome(tmp_path / "run").calibration or {}) == calibration


def test_stock_calibration_gives_the_same_trials(tune: Any, tmp_path: Path) -> None:
    tune(calibration="exact")
    once = graphs(tmp_path)
    assert tune(calibration="stock") is None
    assert graphs(tmp_path) == once


# --- on disk ---


def test_a_later_run_needs_no_pass(tune: Any, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    assert tune(calibration_cache=cache)["passes"] == 1
    first = graphs(tmp_path)
    assert tune(calibration_cache=cache)["passes"] == 0
    assert graphs(tmp_path) == first


def test_other_data_get_statistics_of_their_own(
    tune: Any, tmp_path: Path, small_data: Any
) -> None:
    cache = tmp_path / "cache"
    tune(calibration_cache=str(cache))
    images = small_data[0].copy()
    # One value in the last batch that calibrates.
    images[31, 0, 0, 0] += 1
    assert tune(Loader(images, small_data[1]), calibration_cache=str(cache))["passes"] == 1
    # Each has its ranges and its fitted weights.
    assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize("which", [0, 1], ids=["one", "the other"])
def test_a_damaged_file_is_rebuilt(
    tune: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, which: int
) -> None:
    cache = tmp_path / "cache"
    tune(calibration_cache=str(cache))
    first = graphs(tmp_path)
    path = sorted(cache.iterdir())[which]
    path.write_bytes(path.read_bytes()[:100])
    assert tune(calibration_cache=str(cache))["passes"] == 1
    assert f"statistics in {path} are made again" in caplog.text
    assert graphs(tmp_path) == first
    assert tune(calibration_cache=str(cache))["passes"] == 0


# --- other strategies, and INC afterwards ---


def basic(folder: Path, model: Any, loader: Any, accuracy: Any, **more: Any) -> str:
    conf = configure(folder, strategy="basic", loss=0.99, max_trials=2, quant_level=1, **more)
    return TensorFlowBackend().fingerprint(fit(model, conf, loader, accuracy))


def test_basic_gets_the_same_model_from_the_store_and_without(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    stock = basic(tmp_path, small_model, small_loader, small_accuracy)
    functions = dict(vars(GraphConverter))
    usage = CalibrationUsage()
    descriptors = len(os.listdir("/proc/self/fd"))
    with CalibratedOnce("tensorflow", usage):
        assert basic(tmp_path, small_model, small_loader, small_accuracy) == stock
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert usage.fed >= 1
    assert usage.stock == {}
    assert dict(vars(GraphConverter)) == functions
    assert basic(tmp_path, small_model, small_loader, small_accuracy) == stock
    assert usage.passes == 1, "the last run calibrated by itself"


def test_one_inside_another_leaves_the_work_to_it(tune: Any, tmp_path: Path) -> None:
    tune()
    expected = graphs(tmp_path)
    outer = CalibrationUsage()
    with CalibratedOnce("tensorflow", outer, mode="fitted"):
        inner = tune()
    assert graphs(tmp_path) == expected
    assert outer.passes == 1
    assert outer.fed >= 2
    assert (inner["passes"], inner["fed"], inner["stock"]) == (0, 0, {})
    assert tune()["passes"] == 1, "the next one serves again"


# --- fitted weights ---


def test_what_is_fitted_changes_outputs_less(tune: Any, tmp_path: Path) -> None:
    noises = []
    for mode in ("exact", "fitted"):
        calibration = tune(calibration=mode)
        default = read_trials(tmp_path / "run")[0]
        assert default.origin == "seed: default int8"
        noises.append(default.output_noise)
        assert (calibration["fitted"] > 0) == (mode == "fitted")
    assert noises[1] < noises[0]


def test_a_product_of_inputs_that_stay_away_from_zero(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(24, 6)).astype(np.float32)
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 24), name=INPUT_NAME)
        product = tf.matmul(x, tf.constant(weight, name="weight"), name="product")
        tf.nn.bias_add(product, tf.zeros(6), name=OUTPUT_NAME)
    path = tmp_path / "product.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    inputs = rng.uniform(2, 3, (32, 24)).astype(np.float32)
    conf = configure(tmp_path, strategy="basic", loss=0.99, max_trials=1, quant_level=1)
    with CalibratedOnce("tensorflow", CalibrationUsage(), mode="fitted"):
        model = fit(path, conf, Batches(inputs[:16], inputs[16:]), lambda graph: 1.0)
    assert any("Quantized" in node.op for node in model.graph_def.node)
    found = output_of(model.graph_def, inputs)
    wanted = inputs @ weight
    assert np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()


def test_a_sum_with_numbers_that_have_a_sign_keeps_its_largest(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def conv(x: Any, name: str, size: int, outputs: int = 8) -> Any:
        kernel = rng.normal(size=(size, size, int(x.shape[-1]), outputs)).astype(np.float32)
        made = tf.nn.conv2d(x, tf.constant(kernel, name=f"{name}/weight"), 1, "SAME", name=name)
        bias = rng.normal(size=outputs).astype(np.float32)
        return tf.nn.bias_add(
            made, tf.constant(bias, name=f"{name}/bias"), name=f"{name}/bias_add"
        )

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 8, 8, 4), name=INPUT_NAME)
        x = tf.nn.relu(conv(x, "stem", 3))
        total = tf.raw_ops.AddV2(x=conv(x, "one", 1), y=conv(x, "other", 3), name="total")
        tf.square(tf.nn.relu(total, name="sum"), name=OUTPUT_NAME)
    path = tmp_path / "residual.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    images = rng.normal(size=(32, 8, 8, 4)).astype(np.float32)
    wanted = output_of(graph.as_graph_def(), images)
    conf = configure(tmp_path, strategy="basic", loss=0.99, max_trials=1, quant_level=1)
    lost = {}
    for mode in ("exact", "fitted"):
        with CalibratedOnce("tensorflow", CalibrationUsage(), mode=mode):
            model = fit(path, conf, Batches(images[:16], images[16:]), lambda graph: 1.0)
        assert any("SignedSum" in node.op for node in model.graph_def.node)
        found = output_of(model.graph_def, images)
        lost[mode] = np.abs(found - wanted).max() / np.abs(wanted).max()
    assert lost["fitted"] < 0.05 < lost["exact"], lost


def output_of(graph_def: Any, values: Any) -> Any:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        return session.run(f"{OUTPUT_NAME}:0", {f"{INPUT_NAME}:0": values})


# --- what is left to INC ---


def broken(*arguments: Any) -> Any:
    raise KeyError("a node of a kind never seen")


def test_weights_that_cannot_be_fitted_stay_as_they_are(
    tune: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tune(calibration="exact")
    expected = graphs(tmp_path)
    monkeypatch.setattr(tensorflow_pass, "with_moments", broken)
    calibration = tune()
    assert graphs(tmp_path) == expected
    assert (calibration["passes"], calibration["stock"], calibration["fitted"]) == (1, {}, 0)
    assert caplog.text.count("a node of a kind never seen") == 1


def test_a_failure_of_ours_costs_a_warning_not_the_trial(
    tune: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tune(calibration="exact")
    expected = graphs(tmp_path)
    monkeypatch.setattr(tensorflow_statistics, "tensors_to_gather", broken)
    calibration = tune()
    assert graphs(tmp_path) == expected
    ((reason, count),) = calibration["stock"].items()
    assert "a node of a kind never seen" in reason
    assert count >= 2
    assert caplog.text.count("cannot be reused here") == 1


def saved_model(frozen: Path, path: Path) -> Path:
    graph_def = tf.compat.v1.GraphDef.FromString(frozen.read_bytes())
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tf.import_graph_def(graph_def, name="")
        inputs, outputs = (
            {name: session.graph.get_tensor_by_name(f"{name}:0")}
            for name in (INPUT_NAME, OUTPUT_NAME)
        )
        tf.compat.v1.saved_model.simple_save(session, str(path), inputs, outputs)
    return path


def test_a_saved_model(tmp_path: Path, small_model: Path, small_loader: Any) -> None:
    model = saved_model(small_model, tmp_path / "saved")
    stock = basic(tmp_path, model, small_loader, lambda model: 1.0)
    usage = CalibrationUsage()
    with CalibratedOnce("tensorflow", usage):
        assert basic(tmp_path, model, small_loader, lambda model: 1.0) == stock
    assert usage.fed >= 1
    assert usage.stock == {}


# --- data ---


class Batches:
    """Yields given batches, each time anew."""

    def __init__(self, *batches: Any) -> None:
        self.batches = batches
        self.batch_size = len(batches[0]) if batches else 1

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return ((batch, np.zeros(len(batch), int)) for batch in self.batches)


def test_batches_of_unequal_size(tune: Any, tmp_path: Path, small_data: Any) -> None:
    images = small_data[0]
    loader = Batches(images[:8], images[8:11], images[11:12], images[12:20], images[20:32])
    calibration = tune(loader, calibration="exact")
    assert calibration["passes"] == 1
    once = graphs(tmp_path)
    tune(loader, calibration="stock")
    assert graphs(tmp_path) == once


def test_fewer_images_than_asked_for(
    tune: Any, tmp_path: Path, small_data: Any, caplog: pytest.LogCaptureFixture
) -> None:
    loader = Batches(small_data[0][:8], small_data[0][8:13])
    tune(loader, calibration="exact")
    assert "13 inputs, fewer than the calibration_sampling_size of 32" in caplog.text
    once = graphs(tmp_path)
    tune(loader, calibration="stock")
    assert graphs(tmp_path) == once


def test_inc_s_own_dataloader(tune: Any, tmp_path: Path, small_data: Any) -> None:
    dataset = list(zip(*small_data, strict=True))
    loader = DataLoader(framework="tensorflow", dataset=dataset, batch_size=8)
    calibration = tune(loader, calibration="exact")
    assert (calibration["passes"], calibration["stock"]) == (1, {})
    once = graphs(tmp_path)
    tune(loader, calibration="stock")
    assert graphs(tmp_path) == once


def said(tune: Any, loader: Any) -> str:
    tune(loader)
    return outcome().stop_reason


def test_nan_is_named_with_its_batch(tune: Any, small_data: Any) -> None:
    images = small_data[0].copy()
    images[17] = np.nan
    assert "batch 2 holds NaN or infinite values" in said(tune, Loader(images, small_data[1]))


def test_no_data(tune: Any) -> None:
    assert "the dataloader yielded no batch" in said(tune, Batches())


def test_a_loader_that_can_be_read_once(tune: Any, small_data: Any) -> None:
    class Once:
        batch_size = 8

        def __init__(self) -> None:
            self.left = iter([(small_data[0][:8], small_data[1][:8])] * 6)

        def __iter__(self) -> Iterator[Any]:
            return self.left

    assert "can be read only once" in said(tune, Once())


def test_nan_under_another_strategy(
    tmp_path: Path,
    small_model: Path,
    small_data: Any,
    small_accuracy: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    images = small_data[0].copy()
    images[17] = np.inf
    usage = CalibrationUsage()
    conf = configure(tmp_path, strategy="basic", max_trials=1, quant_level=1)
    with CalibratedOnce("tensorflow", usage):
        assert fit(small_model, conf, Loader(images, small_data[1]), small_accuracy) is None
    assert "Calibration batch 2 holds NaN or infinite values" in caplog.text
