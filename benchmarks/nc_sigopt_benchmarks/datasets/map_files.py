"""Images in a flat folder, with a file that maps each of them to its class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nc_sigopt_benchmarks.datasets.class_folders import some
from nc_sigopt_benchmarks.datasets.labelled_images import IMAGENET_CLASSES, ImageFiles
from nc_sigopt_benchmarks.datasets.synsets import SYNSET_FILES, is_synset, read_lines
from nc_sigopt_strategy.errors import DataError

KAGGLE_MAP = "LOC_val_solution.csv"
MAP_FILES = ("val_map.txt", "val.txt", KAGGLE_MAP)
_KAGGLE_HEADER = "ImageId,"


def find_map(folder: Path) -> Path | None:
    """The map file in a folder."""
    return next((folder / name for name in MAP_FILES if (folder / name).is_file()), None)


def mapped_images(folder: Path, path: Path, synsets: Mapping[str, int]) -> ImageFiles:
    """The images that a map file lists, in its order.

    Args:
        folder: Where the images lie; or else beside the map file.
        path: The map file.
        synsets: Class of each synset that is known.

    Raises:
        DataError: The map file holds nonsense or nothing, or images that it lists are missing.
    """
    listing = read_map(path, synsets)
    if not listing:
        raise DataError(f"The list of images {path} is empty.", "Put a line in for each image.")
    names = [name for name, _ in listing]
    missing, root = min(
        ((missing_files(root, names), root) for root in dict.fromkeys([folder, path.parent])),
        key=lambda found: len(found[0]),
    )
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(names)} images that {path} lists are missing in {root}: "
            f"{some(missing)}.",
            "Restore the files, take their lines out, or correct data.path and data.labels.",
        )
    return ImageFiles(
        tuple(root / name for name in names),
        tuple(label for _, label in listing),
        str(path),
        f"Restore the file, or take its line out of {path}.",
    )


def read_map(path: Path, synsets: Mapping[str, int]) -> list[tuple[str, int]]:
    """The lines of a map file as (relative path, ImageNet class 0 to 999).

    A line is a path, white space and a class or a synset; or one of Kaggle's solution file: the
    name without ``.JPEG``, a comma, and a synset with more behind it.

    Raises:
        DataError: A line is none of these, or lists an image again.
    """
    lines = read_lines(path)
    kaggle = path.suffix.lower() == ".csv" or (lines and lines[0].startswith(_KAGGLE_HEADER))
    listing: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or (kaggle and line.startswith(_KAGGLE_HEADER)):
            continue
        name, label = _kaggle_fields(line) if kaggle else _fields(line)
        where = f"{path}, line {number}"
        if name in listing:
            raise DataError(
                f"{where}: {name} is listed a second time.",
                "List each image once: else one could calibrate and evaluate.",
            )
        listing[name] = _class_of(label, synsets, f"{where}: {line[:80]!r}", bool(name))
    return list(listing.items())


def missing_files(root: Path, names: Sequence[str]) -> list[str]:
    """Those of the relative paths that lead to no file; each folder is read once."""
    there: dict[Path, set[str]] = {}
    missing = []
    for name in names:
        path = root / name
        if path.parent not in there:
            in_it = path.parent.iterdir() if path.parent.is_dir() else ()
            there[path.parent] = {entry.name for entry in in_it}
        if path.name not in there[path.parent]:
            missing.append(name)
    return missing


def _fields(line: str) -> tuple[str, str]:
    words = line.rsplit(None, 1)
    return (words[0].strip(), words[1]) if len(words) > 1 else ("", words[0])


def _kaggle_fields(line: str) -> tuple[str, str]:
    name, _, prediction = line.partition(",")
    words = prediction.split()
    return f"{name.strip()}.JPEG" if name.strip() else "", words[0] if words else ""


def _class_of(label: str, synsets: Mapping[str, int], where: str, has_name: bool) -> int:
    if has_name and label in synsets:
        return synsets[label]
    if has_name and is_synset(label):
        raise DataError(
            f"{where}: the class of the synset {label} is unknown.",
            f"Put a synset file ({', '.join(SYNSET_FILES)}) beside the map file.",
        )
    if not has_name or not label.isdecimal() or int(label) >= IMAGENET_CLASSES:
        raise DataError(
            f"{where} has no class from 0 to {IMAGENET_CLASSES - 1}.",
            "A line is an image's path, a space and its ImageNet class, or its synset.",
        )
    return int(label)
