"""ResNet50_v1 at its full size, 224x224, trained on scikit-learn's digits in a few minutes.

Training at full size takes hours on two cores. So the weights are trained on small images, where
a step costs a fiftieth, then on larger ones; what depends on the size of the images is then set
at full size: the statistics of batch normalization, and the last layer by logistic regression.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.models.digits import (
    DIGITS_CLASSES,
    batch_normalizations,
    cached_graph,
    digits_images,
    fingerprint,
    fit_classifier,
    split_indices,
)
from nc_sigopt_benchmarks.models.keras_graphs import frozen_graph

_POOLED = "avg_pool"
_HEAD = "predictions"


@dataclass(frozen=True)
class ResnetRecipe:
    """All that decides the weights; a changed field gives another file in the cache.

    Attributes:
        image_size: Side in pixels of the images that the finished model takes.
        stages: Pairs of an image size and the epochs that are trained at it, in turn.
        training_images: How many of the 1,797 scans train: those that train MobileNet_v1.
        statistics_images: How many of them set batch normalization's statistics.
        head_images: How many of them the last layer is fitted on.
        batch_size: Images per step.
        peak_learning_rates: Of Adam, one for each stage, decayed to zero along a cosine.
        batch_norm_momentum: While training; see ``DigitsRecipe``.
        inverse_regularization: Scikit-learn's ``C`` of the logistic regression.
        seed: Of the split, the weights and the order of the images.
        format: Raised when the way of training or freezing changes.
    """

    image_size: int = 224
    stages: tuple[tuple[int, int], ...] = ((32, 6), (96, 2))
    training_images: int = 1000
    statistics_images: int = 256
    head_images: int = 800
    batch_size: int = 32
    peak_learning_rates: tuple[float, ...] = (1e-3, 5e-4)
    batch_norm_momentum: float = 0.9
    inverse_regularization: float = 0.1
    seed: int = 0
    format: int = 1


def digits_resnet_path(
    recipe: ResnetRecipe | None = None, *, tell: Callable[[str], None] = lambda line: None
) -> Path:
    """The frozen graph, trained first when the cache has none.

    Args:
        recipe: What to train; the default one when ``None``.
        tell: Gets a line of text when training starts, after each epoch and step, and at the end.

    Raises:
        ModelError: The cache folder cannot be written.
    """
    recipe = recipe or ResnetRecipe()
    return cached_graph(
        f"resnet50_v1_digits-{fingerprint(recipe)}.pb",
        lambda: train(recipe, tell),
        "Training ResNet50_v1 on scikit-learn's digits, once, a few minutes",
        tell,
    )


def train(recipe: ResnetRecipe, tell: Callable[[str], None]) -> Any:
    """The trained model as a ``GraphDef``."""
    tf = needed("tensorflow")
    tf.keras.utils.set_random_seed(recipe.seed)
    started = time.monotonic()
    weights: list[npt.NDArray[np.float32]] | None = None
    for (size, epochs), rate in zip(recipe.stages, recipe.peak_learning_rates, strict=True):
        weights = _trained_at(size, epochs, rate, weights, recipe, tell)
        # Else each stage's graph and optimizer state stay in memory.
        tf.keras.backend.clear_session()
    images, labels = digits_images(recipe.image_size)
    training, rest = split_indices(len(images), recipe)
    model = _model(recipe.image_size)
    if weights is not None:
        model.set_weights(weights)
    _set_statistics(model, images[training[: recipe.statistics_images]], recipe)
    tell(f"  batch normalization set at {recipe.image_size} pixels")
    pooled = tf.keras.Model(model.input, model.get_layer(_POOLED).output)
    chosen = training[: recipe.head_images]
    features = pooled.predict(images[chosen], batch_size=recipe.batch_size, verbose=0)
    model.get_layer(_HEAD).set_weights(
        fitted_head(features, labels[chosen], recipe.inverse_regularization)
    )
    unseen = rest[:400]
    scores = model.predict(images[unseen], batch_size=recipe.batch_size, verbose=0)
    accuracy = float((scores.argmax(axis=1) == labels[unseen]).mean())
    tell(
        f"  trained in {time.monotonic() - started:.0f} s; top-1 on {len(unseen)} scans that it "
        f"has not seen: {accuracy:.3f}"
    )
    graph_def = frozen_graph(model)
    tf.keras.backend.clear_session()
    return graph_def


def fitted_head(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], inverse_regularization: float
) -> list[npt.NDArray[np.float32]]:
    """Kernel (features, 10) and bias (10,) of the last layer, by logistic regression.

    Features are standardized for the fit, and that is folded into kernel and bias. A class that is
    not among the labels gets a bias that never wins.
    """
    regression = needed("sklearn.linear_model").LogisticRegression(
        C=inverse_regularization, max_iter=300
    )
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    regression.fit((features - mean) / deviation, labels)
    fitted, offsets = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn then keeps one row, of the second class
        fitted, offsets = np.vstack([-fitted, fitted]), np.concatenate([-offsets, offsets])
    kernel = np.zeros((features.shape[1], DIGITS_CLASSES))
    bias = np.full(DIGITS_CLASSES, -1e3)
    kernel[:, regression.classes_] = fitted.T / deviation[:, np.newaxis]
    bias[regression.classes_] = offsets - (mean / deviation) @ fitted.T
    return [kernel.astype(np.float32), bias.astype(np.float32)]


def _model(image_size: int) -> Any:
    return needed("tensorflow").keras.applications.ResNet50(
        input_shape=(image_size, image_size, 3),
        weights=None,
        classes=DIGITS_CLASSES,
        classifier_activation=None,
    )


def _trained_at(
    image_size: int,
    epochs: int,
    peak_learning_rate: float,
    weights: list[npt.NDArray[np.float32]] | None,
    recipe: ResnetRecipe,
    tell: Callable[[str], None],
) -> list[npt.NDArray[np.float32]]:
    images, labels = digits_images(image_size)
    training, _ = split_indices(len(images), recipe)
    model = _model(image_size)
    if weights is not None:
        model.set_weights(weights)

    def after_epoch(epoch: int, logs: dict[str, float]) -> None:
        tell(
            f"  {image_size} pixels, epoch {epoch + 1} of {epochs}, training accuracy "
            f"{logs['accuracy']:.3f}"
        )

    fit_classifier(
        model,
        images[training],
        labels[training],
        epochs=epochs,
        batch_size=recipe.batch_size,
        peak_learning_rate=peak_learning_rate,
        batch_norm_momentum=recipe.batch_norm_momentum,
        after_epoch=after_epoch,
    )
    trained: list[npt.NDArray[np.float32]] = model.get_weights()
    return trained


def _set_statistics(model: Any, images: npt.NDArray[np.float32], recipe: ResnetRecipe) -> None:
    """Mean and variance of each batch normalization: the plain average over the batches."""
    starts = range(0, len(images), recipe.batch_size)
    for number, start in enumerate(starts):
        for layer in batch_normalizations(model):
            layer.momentum = number / (number + 1)
        model(images[start : start + recipe.batch_size], training=True)
