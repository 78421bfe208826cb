"""The model and data that need no download: MobileNet_v1 trained on scikit-learn's digits.

The architecture is Keras's own MobileNet (v1, width 1.0), so Neural Compressor meets the ops of
the real model; only its weights come from a small data set that a Python package ships. It is
trained once, frozen, and kept in the user's cache folder under a fingerprint of the recipe.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.models.keras_graphs import INPUT, OUTPUT, frozen_graph
from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.files import write_whole

DIGITS_CLASSES = 10
DIGITS_INPUT = INPUT
DIGITS_OUTPUT = OUTPUT


@dataclass(frozen=True)
class DigitsRecipe:
    """All that decides the weights; a changed field gives another file in the cache.

    Attributes:
        image_size: Side in pixels that the 8x8 scans are enlarged to. 32 is the least that
            MobileNet's five halvings leave a pixel of.
        width: Keras's ``alpha``.
        training_images: How many of the 1,797 scans train; the others calibrate and evaluate.
        epochs: Passes over the training images.
        batch_size: Images per training step.
        peak_learning_rate: Of Adam, decayed to zero along a cosine.
        batch_norm_momentum: Keras's default of 0.99 needs more steps than there are here before
            the moving statistics are those of the data.
        seed: Of the split, the weights and the order of the images.
        format: Raised when the way of freezing changes.
    """

    image_size: int = 32
    width: float = 1.0
    training_images: int = 1000
    epochs: int = 12
    batch_size: int = 32
    peak_learning_rate: float = 2e-3
    batch_norm_momentum: float = 0.9
    seed: int = 0
    format: int = 1


def digits_images(image_size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """All 1,797 scans, enlarged.

    Returns:
        Images of shape (1797, image_size, image_size, 3) in [-1, 1], and labels 0..9.
    """
    bunch = needed("sklearn.datasets").load_digits()
    enlarged = [
        np.asarray(enlarged_scan(scan, image_size), dtype=np.float32) for scan in bunch.images
    ]
    grey = np.stack(enlarged)[..., np.newaxis] / 127.5 - 1.0
    return np.repeat(grey, 3, axis=3).astype(np.float32), bunch.target.astype(np.int64)


def enlarged_scan(scan: npt.NDArray[np.float64], image_size: int) -> Any:
    """A scan of shape (8, 8), 0 to 16, as a grey Pillow image of that side."""
    pillow = needed("PIL.Image")
    grey = pillow.fromarray((scan * (255.0 / 16.0)).astype(np.uint8))
    return grey.resize((image_size, image_size), pillow.Resampling.BICUBIC)


class TrainedOnDigits(Protocol):
    """What a recipe says about the scans that train."""

    @property
    def training_images(self) -> int:
        """How many."""

    @property
    def seed(self) -> int:
        """Of their choice."""


def split_indices(
    total: int, recipe: TrainedOnDigits
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of the training scans and of the ones that training never sees."""
    order = np.random.default_rng(recipe.seed).permutation(total)
    return order[: recipe.training_images], order[recipe.training_images :]


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/nc-sigopt-strategy``, in ``~/.cache`` by default."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "nc-sigopt-strategy"


def fingerprint(recipe: Any) -> str:
    """Twelve hex digits that change with the recipe and with the versions that train it.

    Args:
        recipe: A dataclass of plain values.
    """
    facts = {
        **dataclasses.asdict(recipe),
        "tensorflow": installed_version("tensorflow-cpu", "tensorflow", "intel-tensorflow"),
        "keras": installed_version("keras"),
        "scikit-learn": installed_version("scikit-learn"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def installed_version(*packages: str) -> str:
    """Version of the first of the packages that is installed; nothing is imported for it."""
    for package in packages:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return "none"


def digits_model_path(
    recipe: DigitsRecipe | None = None, *, tell: Callable[[str], None] = lambda line: None
) -> Path:
    """The frozen graph, trained first when the cache has none.

    Args:
        recipe: What to train; the default one when ``None``.
        tell: Gets a line of text when training starts, after each epoch and at the end.

    Raises:
        ModelError: The cache folder cannot be written.
    """
    recipe = recipe or DigitsRecipe()
    return cached_graph(
        f"mobilenet_v1_digits-{fingerprint(recipe)}.pb",
        lambda: _train(recipe, tell),
        "Training MobileNet_v1 on scikit-learn's digits, once, about a minute",
        tell,
    )


def cached_graph(
    name: str, build: Callable[[], Any], announcement: str, tell: Callable[[str], None]
) -> Path:
    """A file of the cache folder, built first when it is not there.

    Args:
        name: Of the file.
        build: Returns the ``GraphDef`` that goes into it.
        announcement: Told before it is built, with the path.
        tell: Gets lines of text.

    Raises:
        ModelError: The cache folder cannot be written.
    """
    path = cache_folder() / name
    if path.is_file():
        return path
    tell(f"{announcement}; it will be kept as {path}")
    try:
        # Before minutes are spent on what then cannot be kept.
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, build().SerializeToString())
    except OSError as error:
        raise ModelError(
            f"The model cannot be written to {path}: {error}.",
            "Make that folder writable, or set XDG_CACHE_HOME to one that is.",
        ) from error
    return path


def _train(recipe: DigitsRecipe, tell: Callable[[str], None]) -> Any:
    tf = needed("tensorflow")
    tf.keras.utils.set_random_seed(recipe.seed)
    images, labels = digits_images(recipe.image_size)
    training, rest = split_indices(len(images), recipe)
    model = tf.keras.applications.MobileNet(
        input_shape=(recipe.image_size, recipe.image_size, 3),
        alpha=recipe.width,
        weights=None,
        classes=DIGITS_CLASSES,
        classifier_activation=None,
        dropout=1e-3,
    )
    started = time.monotonic()

    def after_epoch(epoch: int, logs: dict[str, float]) -> None:
        elapsed = time.monotonic() - started
        left = elapsed / (epoch + 1) * (recipe.epochs - epoch - 1)
        tell(
            f"  epoch {epoch + 1} of {recipe.epochs}, training accuracy "
            f"{logs['accuracy']:.3f}, {left:.0f} s left"
        )

    fit_classifier(
        model,
        images[training],
        labels[training],
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        peak_learning_rate=recipe.peak_learning_rate,
        batch_norm_momentum=recipe.batch_norm_momentum,
        after_epoch=after_epoch,
    )
    accuracy = model.evaluate(images[rest], labels[rest], verbose=0)[1]
    tell(
        f"  trained in {time.monotonic() - started:.0f} s; top-1 on the {len(rest)} scans that "
        f"it has not seen: {accuracy:.3f}"
    )
    graph_def = frozen_graph(model)
    # Training leaves optimizer state and a graph that the tuning must not carry along.
    tf.keras.backend.clear_session()
    return graph_def


def fit_classifier(
    model: Any,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    *,
    epochs: int,
    batch_size: int,
    peak_learning_rate: float,
    batch_norm_momentum: float,
    after_epoch: Callable[[int, dict[str, float]], None],
) -> None:
    """Compile and train a Keras classifier; the numbers are explained at ``DigitsRecipe``.

    Args:
        model: Gives logits.
        images: What trains it.
        labels: Their classes.
        epochs: Passes over the images.
        batch_size: Images per step.
        peak_learning_rate: Of Adam, decayed to zero along a cosine.
        batch_norm_momentum: Of every batch normalization.
        after_epoch: Gets the number of the epoch, from 0, and Keras's figures of it.
    """
    tf = needed("tensorflow")
    for layer in batch_normalizations(model):
        layer.momentum = batch_norm_momentum
    steps = epochs * -(-len(labels) // batch_size)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(
            tf.keras.optimizers.schedules.CosineDecay(peak_learning_rate, steps)
        ),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        images,
        labels,
        batch_size=batch_size,
        epochs=epochs,
        verbose=0,
        callbacks=[tf.keras.callbacks.LambdaCallback(on_epoch_end=after_epoch)],
    )


def batch_normalizations(model: Any) -> list[Any]:
    """The batch normalizations of a Keras model."""
    kind = needed("tensorflow").keras.layers.BatchNormalization
    return [layer for layer in model.layers if isinstance(layer, kind)]
