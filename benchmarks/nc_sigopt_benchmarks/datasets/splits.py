"""The images of a run: found, drawn by seed and decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nc_sigopt_benchmarks.config.run_config import DataConfig
from nc_sigopt_benchmarks.datasets.digit_scans import unseen_digits
from nc_sigopt_benchmarks.datasets.image_set import ImageSet
from nc_sigopt_benchmarks.datasets.imagenet import imagenet_images
from nc_sigopt_benchmarks.datasets.imagenette import imagenette_images
from nc_sigopt_benchmarks.datasets.labelled_images import LabelledImages
from nc_sigopt_benchmarks.datasets.map_files import MAP_FILES, mapped_images
from nc_sigopt_benchmarks.datasets.preprocessing import normalized
from nc_sigopt_benchmarks.datasets.splitting import Positions, split_disjoint
from nc_sigopt_benchmarks.datasets.synsets import known_synsets
from nc_sigopt_benchmarks.models.benchmark_model import (
    CHANNELS_FIRST,
    IMAGES,
    BenchmarkModel,
)
from nc_sigopt_benchmarks.models.find import ASSETS_IMAGES, ASSETS_VARIABLE
from nc_sigopt_strategy.errors import DataError

_FACTS_SHOWN = 3


@dataclass(frozen=True)
class Splits:
    """Three sets of images without a common one.

    Attributes:
        calibration: What calibrates.
        evaluation: What the tuning measures accuracy on.
        held_out: What judges the models found; ``None`` when none is asked for.
        description: One sentence on the images; empty where that on the model says it.
    """

    calibration: ImageSet
    evaluation: ImageSet
    held_out: ImageSet | None
    description: str


def load_splits(
    config: DataConfig, model: BenchmarkModel, *, tell: Callable[[str], None] = lambda line: None
) -> Splits:
    """The images that a run configuration asks for; none but these are decoded.

    Args:
        config: Source, counts and seed.
        model: Says size, preprocessing and classes.
        tell: Gets lines of text during a download.

    Raises:
        DataError: The images are missing, too few, unreadable, or not of the model's classes.
    """
    if model.data != IMAGES:
        raise DataError(
            f"The model {model.name} takes {model.data.replace('_', ' ')}, and images are asked "
            "for: its data have no classes that held-out images could be judged by.",
            "Leave data.held_out_images and data.source out.",
        )
    source = data_source(config, model)
    images = _find(source, config, model, tell)
    _check_classes(images.labels, images.what, model)
    parts = split_disjoint(
        len(images),
        config.calibration_images,
        config.evaluation_images,
        config.held_out_images,
        config.seed,
        images.what,
    )
    calibration, evaluation, held_out = (_decode(images, part, model) for part in parts)
    return Splits(
        calibration,
        evaluation,
        held_out if config.held_out_images else None,
        _description(source, config, images),
    )


def data_source(config: DataConfig, model: BenchmarkModel) -> str:
    """``imagenet``, ``imagenette``, ``assets`` or ``digits``: what ``auto`` stands for.

    Raises:
        DataError: No images belong to the model's source.
    """
    if config.source != "auto":
        return config.source
    if model.data_folder is not None:
        return "assets"
    if model.source == "digits":
        return "digits"
    if model.source == "package" and os.environ.get(ASSETS_VARIABLE):
        return "assets"
    raise DataError(
        f"data.source is 'auto', but no images belong to a model of the source {model.source!r}.",
        f"Set data.source to imagenet or imagenette, or {ASSETS_VARIABLE} to a folder of assets, "
        "or name your own Python file in data.python.",
    )


def _find(
    source: str, config: DataConfig, model: BenchmarkModel, tell: Callable[[str], None]
) -> LabelledImages:
    if source == "digits":
        return unseen_digits(model)
    if source == "assets":
        folder = model.data_folder or _assets_folder()
        return mapped_images(folder, folder / MAP_FILES[0], known_synsets([]))
    if source == "imagenette":
        return imagenette_images(config.path, tell)
    if config.path is None:
        raise DataError(
            f"data.source is {source!r}, but data.path is missing.",
            "Name the folder of the images.",
        )
    return imagenet_images(config.path, config.labels)


def _assets_folder() -> Path:
    root = os.environ.get(ASSETS_VARIABLE)
    if not root:
        raise DataError(
            f"data.source is 'assets', but {ASSETS_VARIABLE} is not set.",
            f"Point it at the folder with {ASSETS_IMAGES}/, or use another data.source.",
        )
    return Path(root).expanduser().resolve() / ASSETS_IMAGES


def _decode(images: LabelledImages, positions: Positions, model: BenchmarkModel) -> ImageSet:
    size = model.image_size
    first = model.layout == CHANNELS_FIRST
    shape = (3, size, size) if first else (size, size, 3)
    pixels = np.empty((len(positions), *shape), np.float32)
    labels = np.empty(len(positions), np.int64)
    unreadable: list[DataError] = []
    for row, position in enumerate(positions):
        try:
            picture, label = images.read(int(position), size)
        except DataError as error:
            unreadable.append(error)
            continue
        image = normalized(picture, model.preprocessing)
        pixels[row] = image.transpose(2, 0, 1) if first else image
        labels[row] = label + model.label_offset
    if unreadable:
        facts = " ".join(error.fact for error in unreadable[:_FACTS_SHOWN])
        rest = len(unreadable) - _FACTS_SHOWN
        raise DataError(
            f"{facts} And {rest} more." if rest > 0 else facts, unreadable[0].hint
        ) from unreadable[0]
    if not images.labels:
        _check_classes([int(label) - model.label_offset for label in labels], images.what, model)
    return ImageSet(pixels, labels)


def _check_classes(labels: Sequence[int], what: str, model: BenchmarkModel) -> None:
    if not labels or model.classes is None:
        return
    lowest, highest = min(labels) + model.label_offset, max(labels) + model.label_offset
    if lowest >= 0 and highest < model.classes:
        return
    shift = f" (with the label offset {model.label_offset})" if model.label_offset else ""
    raise DataError(
        f"Wrong number of classes: {what} has classes from {lowest} to {highest}{shift}, but the "
        f"model {model.name} ({model.path}) has {model.classes}, 0 to {model.classes - 1}.",
        "Take data of the model's own classes or a model with ImageNet's, or correct "
        "model.label_offset.",
    )


def _description(source: str, config: DataConfig, images: LabelledImages) -> str:
    if source in ("assets", "digits"):
        return ""
    drawn = config.calibration_images + config.evaluation_images + config.held_out_images
    chosen = f"The images are {drawn:,} of the {len(images):,}"
    if source == "imagenette":
        return (
            f"{chosen} of Imagenette's validation part, drawn by seed {config.seed}: ten of "
            "ImageNet's classes, most of them training images there, so compare strategies with "
            "the accuracy, not with published figures."
        )
    return f"{chosen} in {images.what}, drawn by seed {config.seed}."
