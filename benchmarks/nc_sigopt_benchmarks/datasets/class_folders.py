"""Images in a folder for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nc_sigopt_benchmarks.datasets.labelled_images import (
    IMAGENET_CLASSES,
    ImageFiles,
    is_image,
    subfolders,
)
from nc_sigopt_benchmarks.datasets.synsets import SYNSET_FILES
from nc_sigopt_strategy.errors import DataError

_NAMES_SHOWN = 3


def class_folder_images(folder: Path, synsets: Mapping[str, int]) -> ImageFiles:
    """The images of a folder with a subfolder for each class, by class folder and name.

    Args:
        folder: Of the subfolders.
        synsets: Class of each synset that is known.

    Raises:
        DataError: The class of a subfolder is unknown, or there is no image.
    """
    folders = subfolders(folder)
    classes = class_numbers(folder, [path.name for path in folders], synsets)
    paths, labels = [], []
    for each in folders:
        there = sorted(path for path in each.iterdir() if is_image(path))
        paths += there
        labels += [classes[each.name]] * len(there)
    if not paths:
        raise DataError(
            f"The {len(folders)} class folders in {folder} hold no images.",
            "Put the images (.JPEG, .png and the like) right into the folders of their classes.",
        )
    return ImageFiles(tuple(paths), tuple(labels), f"{folder} (a folder per class)")


def class_numbers(
    folder: Path, names: Sequence[str], synsets: Mapping[str, int]
) -> dict[str, int]:
    """ImageNet class, 0 to 999, of each of the names of class folders.

    Names are numbers, or synsets; exactly 1,000 folders of other names are the classes in their
    order, as ``image_dataset_from_directory`` and ``ImageFolder`` count them.

    Raises:
        DataError: The class of some is unknown.
    """
    # Numbers first: in the order of their names, 10 would come before 2.
    numbers = {name: int(name) for name in names if name.isdecimal()}
    if len(numbers) == len(names) and max(numbers.values(), default=0) < IMAGENET_CLASSES:
        return numbers
    if all(name in synsets for name in names):
        return {name: synsets[name] for name in names}
    if len(names) == IMAGENET_CLASSES:
        return {name: position for position, name in enumerate(sorted(names))}
    unknown = [name for name in names if name not in synsets]
    raise DataError(
        f"The class of {len(unknown)} of the {len(names)} folders in {folder} is unknown: "
        f"{some(unknown)}.",
        f"Put a synset file ({', '.join(SYNSET_FILES)}) into that folder or beside it, name the "
        f"folders by class numbers from 0 to {IMAGENET_CLASSES - 1}, or point data.path at the "
        "folder that holds the class folders.",
    )


def some(names: Sequence[str]) -> str:
    """The first few names, and that there are more."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown}, ..." if len(names) > _NAMES_SHOWN else shown
