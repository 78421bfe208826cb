"""The images that calibrate and evaluate, as float32 arrays, and a loader for calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.digits import DigitsRecipe, digits_images, split_indices
from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_strategy.errors import DataError

IMAGENET_SIZE = 224
IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class ImageSet:
    """Images ready for the model.

    Attributes:
        images: float32 of shape (count, height, width, 3), in [-1, 1].
        labels: int64 of shape (count,): the model's own class numbers.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, count: int) -> ImageSet:
        """The first ``count`` of them."""
        return ImageSet(self.images[:count], self.labels[:count])


class CalibrationLoader:
    """What Neural Compressor calibrates with: batches of (images, labels), as often as asked.

    Has what "mse_v2" wants of a loader besides: it builds one of the same type over
    ``dataset.take(n)`` from the loader's own attributes.

    Args:
        dataset: The images, in the order in which they come.
        batch_size: Images per batch; the last batch may be smaller.
        inc_arguments: The other arguments of Neural Compressor's own loaders; without effect.
    """

    last_batch = "rollover"
    collate_fn = sampler = batch_sampler = None
    num_workers = 0
    pin_memory = shuffle = distributed = False

    def __init__(self, dataset: ImageSet, batch_size: int, **inc_arguments: object) -> None:
        self.dataset = dataset
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
        for start in range(0, len(self.dataset), self.batch_size):
            stop = start + self.batch_size
            yield self.dataset.images[start:stop], self.dataset.labels[start:stop]

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)


def split_disjoint(
    total: int, calibration: int, evaluation: int, seed: int, what: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of the calibration and of the evaluation images: random, without overlap.

    Raises:
        DataError: There are fewer images than asked for.
    """
    if calibration + evaluation > total:
        raise DataError(
            f"{calibration} calibration and {evaluation} evaluation images are asked for, but "
            f"{what} has {total}.",
            "Lower data.calibration_images or data.evaluation_images.",
        )
    order = np.random.default_rng(seed).permutation(total)
    return order[:calibration], order[calibration : calibration + evaluation]


def digits_data(
    calibration: int, evaluation: int, seed: int, recipe: DigitsRecipe | None = None
) -> tuple[ImageSet, ImageSet]:
    """Calibration and evaluation scans, of those that the model was not trained on."""
    recipe = recipe or DigitsRecipe()
    images, labels = digits_images(recipe.image_size)
    _, unseen = split_indices(len(labels), recipe)
    first, second = split_disjoint(
        len(unseen), calibration, evaluation, seed, "the part of the digits not trained on"
    )
    parts = (unseen[first], unseen[second])
    return tuple(ImageSet(images[part], labels[part]) for part in parts)  # type: ignore[return-value]


def imagenet_data(
    folder: Path, calibration: int, evaluation: int, seed: int
) -> tuple[ImageSet, ImageSet]:
    """Calibration and evaluation images of an ``imagenet_sample`` folder.

    Args:
        folder: Holds ``val_map.txt`` (a line per image: relative path, space, class 0..999) and
            the images, with a shorter side of at least 224 pixels.
        calibration: How many images calibrate.
        evaluation: How many others evaluate.
        seed: Of the split.

    Raises:
        DataError: The folder is incomplete, or an image or a label cannot be used.
    """
    listing = read_listing(folder)
    first, second = split_disjoint(
        len(listing), calibration, evaluation, seed, f"{folder / 'val_map.txt'}"
    )
    return _load(folder, [listing[i] for i in first]), _load(folder, [listing[i] for i in second])


def read_listing(folder: Path) -> list[tuple[str, int]]:
    """The lines of ``val_map.txt`` as (relative path, ImageNet class 0..999)."""
    path = folder / "val_map.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"The list of images {path} cannot be read: {error}.",
            "The folder of images needs it: a line per image with path, space, class 0 to 999.",
        ) from error
    listing = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, label = line.rpartition(" ")
        if not name or not label.isdecimal() or int(label) >= IMAGENET_CLASSES:
            raise DataError(
                f"{path}, line {number}: {line!r} has no class from 0 to {IMAGENET_CLASSES - 1}.",
                "A line is an image's path, a space and its ImageNet class.",
            )
        listing.append((name, int(label)))
    return listing


def _load(folder: Path, listing: list[tuple[str, int]]) -> ImageSet:
    images = np.empty((len(listing), IMAGENET_SIZE, IMAGENET_SIZE, 3), np.float32)
    for position, (name, _) in enumerate(listing):
        images[position] = load_image(folder / name)
    # The model has 1,001 classes: class 0 is background.
    labels = np.array([label + 1 for _, label in listing], np.int64)
    return ImageSet(images, labels)


def load_image(path: Path) -> npt.NDArray[np.float32]:
    """The 224x224 centre of an image, RGB scaled to [-1, 1], of shape (224, 224, 3).

    Raises:
        DataError: The file is missing, is not an image, or is too small.
    """
    pillow = needed("PIL.Image")
    try:
        with pillow.open(path) as image:
            rgb = image.convert("RGB")
    except OSError as error:  # Pillow's UnidentifiedImageError is one of these
        raise DataError(
            f"The image {path} cannot be read: {error}.",
            "Restore the file, or take its line out of val_map.txt.",
        ) from error
    width, height = rgb.size
    if min(width, height) < IMAGENET_SIZE:
        raise DataError(
            f"The image {path} is {width}x{height} pixels; its sides must be at least "
            f"{IMAGENET_SIZE}.",
            "Resize the images to a shorter side of 256.",
        )
    left, top = (width - IMAGENET_SIZE) // 2, (height - IMAGENET_SIZE) // 2
    centre = rgb.crop((left, top, left + IMAGENET_SIZE, top + IMAGENET_SIZE))
    return np.asarray(centre, dtype=np.float32) / 127.5 - 1.0
