"""Keras 3 models as people bring them: many ends, files, layers that draw random numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nc_sigopt_strategy as ncs
from tests.conftest import Loader

keras = pytest.importorskip("keras", minversion="3")

pytestmark = pytest.mark.integration

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(16, 12, 12, 3)).astype(np.float32)
OTHERS = RANDOM.normal(loc=2.0, size=(16, 12, 12, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def eager() -> Any:
    """Other tests leave eager execution off, as Neural Compressor does."""
    from tensorflow.python.eager.context import eager_mode

    with eager_mode():
        keras.utils.set_random_seed(0)
        yield


def pooled(images: Any) -> Any:
    hidden = keras.layers.Conv2D(8, 3, activation="relu")(images)
    return keras.layers.GlobalAveragePooling2D()(hidden)


def of_one_image(*before: Any) -> Any:
    inputs = hidden = keras.Input((12, 12, 3), name="image")
    for layer in before:
        hidden = layer(hidden)
    return keras.Model(inputs, keras.layers.Dense(4)(pooled(hidden)))


def tuned(
    model: Any, loader: Any, eval_fn: Callable[[Any], float], folder: Path, **more: Any
) -> Any:
    return ncs.autotune(
        model,
        eval_fn=eval_fn,
        calib_dataloader=loader,
        tolerable_loss=0.5,
        max_trials=2,
        host="inc",
        output_dir=folder,
        progress=False,
        probing="off",
        latency_func=lambda model: 1.0,
        **more,
    )


def tuned_to_predict_alike(model: Any, inputs: Any, folder: Path) -> Any:
    expected = model.predict(inputs, verbose=0).astype(np.float32)
    return tuned(
        model,
        Loader(inputs, inputs),
        lambda found: nearness(found.predict(inputs), expected),
        folder,
    )


def nearness(found: Any, expected: Any) -> float:
    return float(1 / (1 + np.abs(np.asarray(found) - expected).mean() / np.abs(expected).mean()))


@pytest.mark.parametrize("form", ["object", "file"])
def test_autotune_takes_a_keras_model(tmp_path: Path, form: str) -> None:
    model = of_one_image()
    expected = model.predict(IMAGES, verbose=0)
    if form == "file":
        model.save(tmp_path / "m.keras")
        model = str(tmp_path / "m.keras")
    answers = []

    def agreement(found: Any) -> float:
        answers.append(found.predict(IMAGES))
        assert np.array_equal(ncs.predictor(found)(IMAGES)[0], answers[-1])
        return nearness(answers[-1], expected)

    result = tuned(model, Loader(IMAGES, IMAGES), agreement, tmp_path / "run")
    assert np.allclose(answers[0], expected, atol=1e-4)
    again = ncs.predictor(result.model)({"image": IMAGES})[0]
    assert nearness(again, expected) == pytest.approx(result.outcome.best.accuracy, abs=1e-3)


def test_what_is_evaluated_is_the_quantized_model_however_inc_holds_it(tmp_path: Path) -> None:
    """Calibrating by itself, INC hands a SavedModel to the function, and not a graph."""
    model = of_one_image()
    expected = model.predict(IMAGES, verbose=0)
    errors = []

    def agreement(found: Any) -> float:
        errors.append(float(np.abs(found.predict(IMAGES) - expected).max()))
        return 1.0

    tuned(model, Loader(IMAGES, IMAGES), agreement, tmp_path / "run", calibration="stock")
    assert errors[0] < 1e-4 < errors[1]


class Pairs:
    """Two inputs by position, in the order of the Keras model."""

    def __iter__(self) -> Any:
        for start in range(0, 16, 8):
            chosen = slice(start, start + 8)
            yield [IMAGES[chosen], OTHERS[chosen]], np.zeros(8)


@pytest.mark.parametrize("returns", ["list", "dict"])
def test_inputs_and_outputs_keep_the_order_of_keras(tmp_path: Path, returns: str) -> None:
    """A SavedModel has them in the order of their names: b after a, output_10 before output_2."""
    first, second = keras.Input((12, 12, 3), name="b"), keras.Input((12, 12, 3), name="a")
    hidden = keras.layers.Concatenate()([pooled(first), -1 * pooled(second)])
    heads = [keras.layers.Dense(3)(hidden) for _ in range(11)]
    outputs = heads if returns == "list" else {f"z{9 - k}": heads[k] for k in range(3)}
    model = keras.Model([first, second], outputs)
    expected = model.predict([IMAGES, OTHERS], verbose=0)

    def agreement(found: Any) -> float:
        answer = found.predict([IMAGES, OTHERS])
        if returns == "list":
            return nearness(answer, np.asarray(expected))
        assert sorted(answer) == sorted(expected)
        return float(np.mean([nearness(answer[key], expected[key]) for key in expected]))

    result = tuned(model, Pairs(), agreement, tmp_path / "run")
    assert result.outcome.baseline_accuracy > 0.999
    assert result.outcome.best.accuracy > 0.95


def test_layers_that_augment_are_left_out(tmp_path: Path) -> None:
    model = of_one_image(
        keras.layers.RandomFlip(), keras.layers.RandomRotation(0.1), keras.layers.Rescaling(0.5)
    )
    result = tuned_to_predict_alike(model, IMAGES, tmp_path / "run")
    assert result.outcome.baseline_accuracy > 0.999
    assert result.outcome.best.accuracy > 0.95


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_tuned_in_float32(tmp_path: Path, policy: str) -> None:
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = of_one_image()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    result = tuned_to_predict_alike(model, IMAGES, tmp_path / "run")
    assert result.outcome.baseline_accuracy > 0.98
    assert result.outcome.best.accuracy > 0.9
    assert any("float32" in note for note in result.outcome.model_notes)


@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
def test_products_in_the_loops_of_recurrent_layers_become_int8(tmp_path: Path, layer: str) -> None:
    series = RANDOM.normal(size=(16, 12, 4)).astype(np.float32)
    inputs = keras.Input((12, 4), name="series")
    hidden = getattr(keras.layers, layer)(8)(keras.layers.Conv1D(8, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(hidden))
    result = tuned_to_predict_alike(model, series, tmp_path / "run")
    assert result.outcome.baseline_accuracy > 0.999
    assert result.outcome.best.accuracy > 0.9
