"""ImageNet's classes by their WordNet names, its "synsets"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from nc_sigopt_strategy.errors import DataError

# Class numbers of ImageNet's 1,000 classes, which are numbered in the order of their names.
IMAGENETTE: Mapping[str, int] = {
    "n01440764": 0,  # tench
    "n02102040": 217,  # English springer
    "n02979186": 482,  # cassette player
    "n03000684": 491,  # chain saw
    "n03028079": 497,  # church
    "n03394916": 566,  # French horn
    "n03417042": 569,  # garbage truck
    "n03425413": 571,  # gas pump
    "n03445777": 574,  # golf ball
    "n03888257": 701,  # parachute
}
SYNSET_FILES = ("LOC_synset_mapping.txt", "synset_words.txt", "synsets.txt")
_SYNSET = re.compile(r"n\d{8}")


def is_synset(name: str) -> bool:
    """Whether a name has the form of a synset."""
    return _SYNSET.fullmatch(name) is not None


def known_synsets(folders: Iterable[Path]) -> Mapping[str, int]:
    """Classes by synset: of the first synset file in the folders, else Imagenette's ten.

    Raises:
        DataError: The synset file holds nonsense.
    """
    for folder in folders:
        for name in SYNSET_FILES:
            if (folder / name).is_file():
                return read_synsets(folder / name)
    return IMAGENETTE


def read_synsets(path: Path) -> dict[str, int]:
    """A synset file, where the first word of line k (from 0) is the synset of class k.

    Raises:
        DataError: It cannot be read, or a line starts with no synset or with one again.
    """
    classes: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        synset = line.split()[0]
        if not is_synset(synset) or synset in classes:
            wrong = "has it a second time" if synset in classes else "does not start with one"
            raise DataError(
                f"{path}, line {number}: a line starts with the synset of a class, such as "
                f"n01440764; {line[:80]!r} {wrong}.",
                "Restore the file: one line for each class, in the order of the classes.",
            )
        classes[synset] = len(classes)
    return classes


def read_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        DataError: It cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"The list {path} cannot be read: {error}.",
            "It must be a text file in UTF-8 that you may read.",
        ) from error
