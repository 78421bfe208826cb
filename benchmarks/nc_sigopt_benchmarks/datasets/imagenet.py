"""ImageNet's images as people have them: which of the usual layouts a folder has."""

from __future__ import annotations

from pathlib import Path

from nc_sigopt_benchmarks.datasets.class_folders import class_folder_images
from nc_sigopt_benchmarks.datasets.labelled_images import LabelledImages, is_image, subfolders
from nc_sigopt_benchmarks.datasets.map_files import MAP_FILES, find_map, mapped_images
from nc_sigopt_benchmarks.datasets.records import record_images, shards
from nc_sigopt_benchmarks.datasets.synsets import known_synsets
from nc_sigopt_strategy.errors import DataError

_VALIDATION = "val"


def imagenet_images(folder: Path, labels: Path | None = None) -> LabelledImages:
    """The images of a folder, which is looked through in this order.

    ``labels`` if given; TFRecords; a map file in the folder; its subfolder ``val`` instead of it;
    a folder per class; a map file beside the folder.

    Args:
        folder: Holds the images.
        labels: A map file.

    Raises:
        DataError: The folder is missing or has none of these layouts, or what it has is wrong.
    """
    check_folder(folder)
    try:
        return _images(folder, labels)
    except OSError as error:
        raise DataError(
            f"The images in {folder} cannot be listed: {error}.",
            "Make the folder and all that is in it readable for you.",
        ) from error


def check_folder(folder: Path) -> None:
    """Raises:
    DataError: It is not there, or is not a folder.
    """
    if not folder.is_dir():
        wrong = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"The folder of images {folder} {wrong}.", "Correct data.path.")


def _images(folder: Path, labels: Path | None) -> LabelledImages:
    if labels is not None:
        if not labels.is_file():
            raise DataError(
                f"The list of images {labels} is not a file that exists.", "Correct data.labels."
            )
        return mapped_images(folder, labels, known_synsets(_around(folder, labels)))
    if shards(folder):
        return record_images(folder)
    inside = find_map(folder)
    if inside is not None:
        return mapped_images(folder, inside, known_synsets(_around(folder, inside)))
    if (folder / _VALIDATION).is_dir():
        return _images(folder / _VALIDATION, None)
    beside = find_map(folder.parent)
    synsets = known_synsets(_around(folder, beside or folder))
    if subfolders(folder):
        try:
            return class_folder_images(folder, synsets)
        except DataError:
            if beside is None:
                raise
    if beside is not None:
        return mapped_images(folder, beside, synsets)
    flat = sum(is_image(path) for path in folder.iterdir())
    raise DataError(
        f"The folder {folder} holds {flat} images, but nothing says their classes."
        if flat
        else f"The folder {folder} holds no images, no folders of classes and no TFRecords.",
        f"Put a map file ({', '.join(MAP_FILES)}) into it or beside it, or name one in "
        "data.labels."
        if flat
        else "Correct data.path.",
    )


def _around(folder: Path, map_file: Path) -> tuple[Path, ...]:
    return folder, folder.parent, map_file.parent
