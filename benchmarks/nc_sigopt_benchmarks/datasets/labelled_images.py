"""Images with classes that are known by where they lie, and decoded only once they are drawn."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nc_sigopt_benchmarks.datasets.preprocessing import centre
from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_strategy.errors import DataError

IMAGENET_CLASSES = 1000
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")


class LabelledImages(Protocol):
    """A numbered list of images; the same files give the same numbers."""

    @property
    def what(self) -> str:
        """Names the images in a message."""

    @property
    def labels(self) -> Sequence[int]:
        """Classes, as far as they are known before an image is read; may be empty."""

    def __len__(self) -> int:
        """How many images there are."""

    def read(self, position: int, size: int) -> tuple[Any, int]:
        """An RGB Pillow image of ``size`` x ``size`` pixels, and its class.

        Raises:
            DataError: The image cannot be read.
        """


@dataclass(frozen=True)
class ImageFiles:
    """Images in files of their own.

    Attributes:
        paths: The files.
        labels: Their classes, from 0.
        what: Names them in a message.
        way_out: What can be done about one that cannot be read.
    """

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    what: str
    way_out: str = "Restore the file, or remove it."

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, position: int, size: int) -> tuple[Any, int]:
        """See ``LabelledImages``."""
        path = self.paths[position]
        return centre(decoded(path, str(path), self.way_out), size), self.labels[position]


def decoded(source: Path | bytes, name: str, way_out: str) -> Any:
    """An image as a Pillow image in mode RGB; grey ones and CMYK are converted.

    Args:
        source: A file, or its content.
        name: Of the image, for the message.
        way_out: The hint of the error.

    Raises:
        DataError: The file is missing, truncated or not an image.
    """
    pillow = needed("PIL.Image")
    try:
        with pillow.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return image.convert("RGB")
    except Exception as error:  # what Pillow's decoders raise for damaged files varies
        reason = str(error).rstrip(".") or type(error).__name__
        raise DataError(f"The image {name} cannot be read: {reason}.", way_out) from error


def is_image(path: Path) -> bool:
    """Whether a file's name is that of an image; hidden files are none."""
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder by name, without hidden ones and what macOS adds to archives."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith((".", "__"))
    )
