"""Models, data and functions as people bring them, under INC's own ``fit``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neural_compressor import config, quantization

from nc_sigopt_strategy.results.run_files import read_trials
from nc_sigopt_strategy.results.trial_record import TrialState
from tests.conftest import INPUT_NAME, Loader, logged
from tests.integration.fitting import configure, fit, outcome

pytestmark = pytest.mark.integration

IMAGES = np.random.default_rng(0).normal(size=(16, 12, 12, 3)).astype(np.float32)


def weights(*shape: int) -> Any:
    import tensorflow as tf

    values = np.random.default_rng(sum(shape)).normal(scale=0.2, size=shape)
    return tf.constant(values.astype(np.float32))


def features(images: Any) -> Any:
    import tensorflow as tf

    return tf.nn.relu(tf.nn.conv2d(images, weights(3, 3, 3, 8), 1, "SAME"))


def added_to_its_input(images: Any) -> Any:
    """What Neural Compressor makes int8 of ends the process."""
    import tensorflow as tf

    found = features(images)
    for _ in range(2):
        product = tf.nn.conv2d(found, weights(3, 3, 8, 8), 1, "SAME")
        found = tf.nn.relu(found + tf.nn.bias_add(product, weights(8)))
    return tf.matmul(tf.reduce_mean(found, [1, 2]), weights(8, 4))


def a_while_loop(images: Any) -> Any:
    import tensorflow as tf

    state = tf.reduce_mean(features(images), [1, 2])
    again = weights(8, 8)
    _, state = tf.while_loop(
        lambda step, state: step < 3,
        lambda step, state: (step + 1, tf.nn.tanh(tf.matmul(state, again))),
        [tf.constant(0), state],
    )
    return tf.matmul(state, weights(8, 4))


def a_map(images: Any) -> Any:
    import tensorflow as tf

    mapped = tf.map_fn(lambda image: tf.nn.relu(image) + 0.1, features(images))
    return tf.matmul(tf.reduce_mean(mapped, [1, 2]), weights(8, 4))


def a_branch(images: Any) -> Any:
    import tensorflow as tf

    found = features(images)
    kernel = weights(3, 3, 8, 8)
    found = tf.cond(
        tf.reduce_sum(found) > 0,
        lambda: tf.nn.conv2d(found, kernel, 1, "SAME"),
        lambda: found * 2.0,
    )
    return tf.matmul(tf.reduce_mean(found, [1, 2]), weights(8, 4))


def computed_biases(images: Any) -> Any:
    """As Keras 3 exports them: two convolutions, each bias reshaped and squeezed."""
    import tensorflow as tf

    found = images
    for channels in (3, 8):
        bias = tf.squeeze(tf.reshape(weights(8), [1, 1, 1, 8]), [0, 1, 2])
        found = tf.nn.conv2d(found, weights(3, 3, channels, 8), 1, "SAME")
        found = tf.nn.relu(tf.nn.bias_add(found, bias))
    return tf.matmul(tf.reduce_mean(found, [1, 2]), weights(8, 4))


def sums_without_biases(images: Any) -> Any:
    """Two residual sums of convolutions that have no bias, with channels of unlike scales."""
    import tensorflow as tf

    scales = tf.constant(np.geomspace(0.2, 2.0, 8).astype(np.float32))
    found = features(images)
    for size in (3, 1):
        kernel = weights(size, size, 8, 8) * scales
        inner = tf.nn.relu(tf.nn.conv2d(found, weights(3, 3, 8, 8), 1, "SAME"))
        found = tf.nn.relu(found + tf.nn.conv2d(inner, kernel, 1, "SAME"))
    return tf.matmul(tf.reduce_mean(found, [1, 2]), weights(8, 4))


def frozen_graph(function: Any, path: Path, lowered: bool = True) -> str:
    """Write a function of images as a frozen graph; the name of its output node."""
    import tensorflow as tf
    from tensorflow.python.eager.context import eager_mode
    from tensorflow.python.framework import convert_to_constants

    with eager_mode():
        concrete = tf.function(function, autograph=False).get_concrete_function(
            tf.TensorSpec((None, 12, 12, 3), tf.float32, name=INPUT_NAME)
        )
        frozen = convert_to_constants.convert_variables_to_constants_v2(
            concrete, lower_control_flow=lowered
        )
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    return str(frozen.outputs[0].name.split(":")[0])


@pytest.mark.parametrize("lowered", [True, False], ids=["v1", "functional"])
@pytest.mark.parametrize(
    "function", [a_while_loop, a_map, a_branch, computed_biases, added_to_its_input]
)
def test_graphs_as_exports_leave_them_tune(tmp_path: Path, function: Any, lowered: bool) -> None:
    conf = configure(tmp_path, max_trials=2)
    conf.outputs = [frozen_graph(function, tmp_path / "m.pb", lowered)]
    assert fit(tmp_path / "m.pb", conf, Loader(IMAGES, IMAGES), lambda graph: 1.0) is not None
    assert outcome().found
    assert [trial.failure for trial in read_trials(tmp_path / "run")] == [None, None]


def test_sums_of_convolutions_without_a_bias_are_right_in_int8(tmp_path: Path) -> None:
    import tensorflow as tf

    output = frozen_graph(sums_without_biases, tmp_path / "m.pb")
    answers: list[Any] = []

    def nearness(graph: Any) -> float:
        with tf.compat.v1.Session(graph=graph) as session:
            answers.append(session.run(f"{output}:0", {f"{INPUT_NAME}:0": IMAGES}))
        return float(1 - np.abs(answers[-1] - answers[0]).mean() / np.abs(answers[0]).mean())

    conf = configure(tmp_path, {"latency_func": lambda model: 1.0}, max_trials=1)
    conf.outputs = [output]
    fit(tmp_path / "m.pb", conf, Loader(IMAGES, IMAGES), nearness)
    (trial,) = read_trials(tmp_path / "run")
    assert set(trial.assignments.values()) == {"int8"}
    assert trial.accuracy is not None
    assert trial.accuracy > 0.95  # INC's own model is off by some tenths


@pytest.mark.parametrize("kind", ["tf.data", "lists", "tensors", "pairs", "mappings"])
def test_data_in_many_forms(
    tmp_path: Path, small_model: Path, small_accuracy: Any, kind: str
) -> None:
    import tensorflow as tf
    from tensorflow.python.eager.context import eager_mode

    with eager_mode():
        loader: Any = {
            "tf.data": lambda: tf.data.Dataset.from_tensor_slices((IMAGES, IMAGES)).batch(8),
            "lists": lambda: [(IMAGES[:8].tolist(), None), (IMAGES[8:].tolist(), None)],
            "tensors": lambda: [(tf.constant(IMAGES), None)],
            "pairs": lambda: [([IMAGES], None)],
            "mappings": lambda: [{INPUT_NAME: IMAGES.astype(float), "labels": [1] * 16}],
        }[kind]()
    assert fit(small_model, configure(tmp_path, max_trials=2), loader, small_accuracy) is not None
    assert outcome().trials == 2
    assert all(trial.failure is None for trial in read_trials(tmp_path / "run"))


def test_other_strategies_get_incs_own_check(
    tmp_path: Path, small_model: Path, small_accuracy: Any
) -> None:
    conf = configure(tmp_path, strategy="basic", max_trials=1)
    with pytest.raises(AssertionError, match="batch_size"):
        fit(small_model, conf, [(IMAGES, None)], small_accuracy)


def test_a_keras_3_model_tunes_and_is_called_as_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keras = pytest.importorskip("keras", minversion="3")
    from tensorflow.python.eager.context import eager_mode

    with eager_mode():
        inputs = keras.Input((12, 12, 3), name="image")
        hidden = keras.layers.Conv2D(8, 3, activation="relu")(inputs)
        hidden = keras.layers.GlobalAveragePooling2D()(hidden)
        model = keras.Model(inputs, keras.layers.Dense(4)(hidden))
        expected = model.predict(IMAGES, verbose=0)
    seen = []

    def agreement(quantized: Any) -> float:
        found = quantized.predict(IMAGES, batch_size=8, verbose=0)
        # In batches of another size: sums may be rounded otherwise.
        np.testing.assert_allclose(found, np.asarray(quantized(IMAGES)), rtol=1e-3, atol=1e-3)
        seen.append(type(quantized))
        return float(1 / (1 + np.abs(found - expected).mean()))

    config.options.workspace = str(tmp_path / "workspace")
    conf = config.PostTrainingQuantConfig(
        calibration_sampling_size=[16],
        accuracy_criterion=config.AccuracyCriterion(tolerable_loss=0.5),
        tuning_criterion=config.TuningCriterion(
            strategy="sigopt", strategy_kwargs={"progress": False}, max_trials=2
        ),
    )
    found = quantization.fit(
        model, conf, calib_dataloader=Loader(IMAGES, IMAGES), eval_func=agreement
    )
    assert found is not None
    assert outcome().baseline_accuracy == pytest.approx(1.0, abs=1e-4)
    assert len(set(seen)) == 1


@pytest.mark.parametrize("relative", [True, False])
def test_a_function_that_changes_the_folder(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any, relative: bool
) -> None:
    count = iter(range(99))

    def moving(graph: Any) -> float:
        elsewhere = tmp_path / f"elsewhere{next(count)}"
        elsewhere.mkdir()
        os.chdir(elsewhere)
        return float(small_accuracy(graph))

    kwargs: dict[str, Any] = {"output_dir": "out", "calibration_cache": "cache"}
    conf = configure(tmp_path, kwargs | {"storage": "sqlite:///s.db"} if relative else kwargs)
    given = config.options.workspace = "./workspace"
    assert fit(small_model, conf, small_loader, moving) is not None
    assert config.options.workspace == given
    assert not list(tmp_path.glob("elsewhere*/*"))
    assert (tmp_path / "out" / "best_model.pb").exists()
    assert (tmp_path / "workspace" / "deploy.yaml").exists()
    assert [path.suffix for path in (tmp_path / "cache").iterdir()]
    assert (tmp_path / "s.db").exists() == relative


@pytest.mark.parametrize("when", [1, 2])
def test_an_exit_of_the_users_function(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any, when: int
) -> None:
    calls: list[int] = []

    def leaving(graph: Any) -> float:
        calls.append(1)
        if len(calls) == when:
            raise SystemExit(0)
        return float(small_accuracy(graph))

    found = fit(small_model, configure(tmp_path, max_trials=3), small_loader, leaving)
    if when == 1:
        assert found is None
        assert "exit(0)" in str(outcome().error)
        assert "in leaving" in str(outcome().error)
    else:
        assert found is not None
        states = [trial.state for trial in read_trials(tmp_path / "run")]
        assert states[0] is TrialState.FAILED


def test_an_exit_of_inc_is_an_error(
    tmp_path: Path,
    small_model: Path,
    small_loader: Any,
    small_accuracy: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from neural_compressor.adaptor.tensorflow import TensorFlowAdaptor

    from nc_sigopt_strategy.errors import ModelError

    def leave(*args: Any) -> None:
        raise SystemExit(0)

    monkeypatch.setattr(TensorFlowAdaptor, "__init__", leave)
    with pytest.raises(ModelError, match=r"ended the process, exit\(0\)"):
        fit(small_model, configure(tmp_path), small_loader, small_accuracy)


def test_a_rewriting_that_changes_the_model_is_refused(
    tmp_path: Path,
    small_model: Path,
    small_loader: Any,
    small_accuracy: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from nc_sigopt_strategy.backends.tensorflow import TensorFlowBackend

    opened: list[Any] = []
    real = TensorFlowBackend.open

    def open_changed(backend: Any, model: Any) -> Any:
        session = real(backend, model)
        opened.append(model)
        if len(opened) > 1:
            run = session.run
            monkeypatch.setattr(session, "run", lambda batch: [-a for a in run(batch)])
        return session

    monkeypatch.setattr(TensorFlowBackend, "open", open_changed)
    evaluated: list[Any] = []

    def counted(graph: Any) -> float:
        evaluated.append(graph)
        return float(small_accuracy(graph))

    with caplog.at_level(logging.ERROR):
        assert fit(small_model, configure(tmp_path), small_loader, counted) is None
    assert "changed what it computes" in str(outcome().error)
    assert "output 0 differs by 200%" in str(outcome().error)
    assert not evaluated
    assert any("changed what it computes" in line for line in logged(caplog))


@pytest.fixture(autouse=True)
def workspace() -> Iterator[None]:
    given = config.options.workspace
    yield
    config.options.workspace = given
