"""What FP32's outputs say of the noise that a bound allows, against noise that is really added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.measurement.margins import noise_for_loss
from nc_sigopt_strategy.measurement.output_noise import output_noise


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = powers / powers.sum(axis=1, keepdims=True)
    return result


def classifier(inputs: int, classes: int = 40, seed: int = 0) -> tuple[Array, Array, Array]:
    """Logits of a classifier that is twice as sure as it is right, labels, true probabilities."""
    rng = np.random.default_rng(seed)
    true = softmax(3.0 * rng.standard_normal((inputs, classes)))
    labels = np.array([rng.choice(classes, p=row) for row in true])
    return 2.0 * np.log(true), labels, true


def expected_accuracy(outputs: Array, true: Array) -> float:
    return float(true[np.arange(len(true)), outputs.argmax(axis=1)].mean())


def loss_at(noise: float, logits: Array, true: Array, *, probable: bool) -> float:
    """What noise of that size, as it is measured on the outputs, costs."""
    rng = np.random.default_rng(5)
    exact = softmax(logits) if probable else logits
    low, high = 1e-4, 10.0
    outputs = exact
    for _ in range(24):
        level = np.sqrt(low * high)
        noisy = logits + level * rng.standard_normal(logits.shape)
        outputs = softmax(noisy) if probable else noisy
        found = output_noise([outputs], [exact])
        assert found is not None
        low, high = (level, high) if found < noise else (low, level)
    return expected_accuracy(exact, true) - expected_accuracy(outputs, true)


@pytest.mark.parametrize("probable", [False, True], ids=["logits", "probabilities"])
@pytest.mark.parametrize("loss", [0.01, 0.05])
def test_noise_of_that_size_costs_about_that_much(*, probable: bool, loss: float) -> None:
    logits, _, true = classifier(2000)
    outputs = softmax(logits) if probable else logits
    noise = noise_for_loss(
        [[outputs[:1000]], [outputs[1000:]]], expected_accuracy(logits, true), loss
    )
    assert noise is not None
    assert 0.5 * loss < loss_at(noise, logits, true, probable=probable) < 2.0 * loss


def test_more_loss_allows_more_noise() -> None:
    logits, labels, _ = classifier(200)
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    found = [noise_for_loss([[logits]], accuracy, loss) for loss in (0.005, 0.02, 0.08)]
    assert found == sorted(found, key=lambda noise: noise or 0.0)
    assert all(found)


LOGITS = classifier(64)[0]


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [[LOGITS[:8]]],
        [[LOGITS[:, :1]]],
        [[LOGITS, LOGITS]],
        [[LOGITS.astype(np.int64)]],
        [[LOGITS.reshape(8, 8, 40)]],
        [[LOGITS[:, 0]]],
        [[LOGITS], [LOGITS[:, :20]]],
        [[np.full_like(LOGITS, np.nan)]],
        [[np.ones_like(LOGITS)]],
    ],
    ids=["none", "few", "one class", "two outputs", "integers", "per position", "numbers",
         "other classes", "not finite", "constant"],
)  # fmt: skip
def test_what_is_no_classifier_says_nothing(outputs: Any) -> None:
    assert noise_for_loss(outputs, 0.8, 0.01) is None


@pytest.mark.parametrize(
    ("accuracy", "loss"),
    [(0.01, 0.001), (0.8, 0.0), (0.8, -0.1), (0.8, 0.9), (75.0, 0.75), (float("nan"), 0.1)],
)
def test_what_is_no_share_of_right_answers_says_nothing(accuracy: float, loss: float) -> None:
    assert noise_for_loss([[LOGITS]], accuracy, loss) is None


def test_images_of_one_shape_with_ones_in_it_are_rows() -> None:
    logits = classifier(64)[0]
    assert noise_for_loss([[logits[:, None, None, :]]], 0.6, 0.02) == noise_for_loss(
        [[logits]], 0.6, 0.02
    )
