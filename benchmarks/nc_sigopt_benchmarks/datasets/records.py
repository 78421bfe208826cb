"""ImageNet as TFRecords, in the layout that the scripts of TF-Slim and of the TPU models write."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.datasets.labelled_images import IMAGENET_CLASSES, decoded
from nc_sigopt_benchmarks.datasets.preprocessing import centre
from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_strategy.errors import DataError

_SHARD = re.compile(r"validation-\d{5}-of-(\d{5})")
_ENCODED, _LABEL = "image/encoded", "image/class/label"
# A record: length (8 bytes, little-endian), its checksum (4), the data, their checksum (4).
_HEADER, _FOOTER = struct.Struct("<QI"), 4
_WAY_OUT = "Make the file anew: it must have the layout that TF-Slim's build_imagenet_data writes."


@dataclass(frozen=True)
class ImageRecords:
    """Images in TFRecords; class 1 there is ImageNet's class 0.

    Attributes:
        places: File, offset and length in bytes of each record.
        what: Names them in a message.
        labels: None are known before a record is read.
    """

    places: tuple[tuple[Path, int, int], ...]
    what: str
    labels: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    def read(self, position: int, size: int) -> tuple[Any, int]:
        """See ``LabelledImages``."""
        path, offset, length = self.places[position]
        name = f"in {path} at byte {offset}"
        try:
            with path.open("rb") as file:
                file.seek(offset)
                example = needed("tensorflow").train.Example.FromString(file.read(length))
            features = example.features.feature
            # Looked up by key, a feature that is missing would be made.
            encoded = features[_ENCODED].bytes_list.value[0] if _ENCODED in features else b""
            label = features[_LABEL].int64_list.value[0] if _LABEL in features else None
        except (OSError, IndexError, ValueError, _decode_error()) as error:
            raise DataError(f"The record {name} cannot be read: {error}.", _WAY_OUT) from error
        if not encoded or label is None:
            raise DataError(
                f"The record {name} lacks {_LABEL if encoded else _ENCODED}; it has "
                f"{', '.join(sorted(features)) or 'nothing'}.",
                _WAY_OUT,
            )
        if not 1 <= label <= IMAGENET_CLASSES:
            raise DataError(
                f"The record {name} has the label {label}, which is not from 1 to "
                f"{IMAGENET_CLASSES}.",
                _WAY_OUT,
            )
        return centre(decoded(encoded, name, _WAY_OUT), size), int(label) - 1


def shards(folder: Path) -> list[Path]:
    """The files of records in a folder, by name."""
    return sorted(path for path in folder.iterdir() if _SHARD.fullmatch(path.name))


def record_images(folder: Path) -> ImageRecords:
    """The images in the records of a folder, by file and place; no image is read.

    Raises:
        DataError: A file is missing of as many as their names say, is damaged or is empty.
    """
    paths = shards(folder)
    expected = {match[1] for path in paths if (match := _SHARD.fullmatch(path.name))}
    if len(expected) != 1 or len(paths) != int(min(expected)):
        raise DataError(
            f"{folder} has {len(paths)} files of records, but by their names there are "
            f"{' and '.join(str(int(count)) for count in sorted(expected))}.",
            "Copy the missing ones; to use fewer on purpose, rename them to count as many.",
        )
    places = tuple((path, *place) for path in paths for place in _records(path))
    if not places:
        raise DataError(f"The files of records in {folder} are empty.", _WAY_OUT)
    return ImageRecords(places, f"{folder} (TFRecords)")


def _records(path: Path) -> Iterator[tuple[int, int]]:
    """Offset and length of the data of each record."""
    size = path.stat().st_size
    position = 0
    with path.open("rb") as file:
        while position < size:
            file.seek(position)
            header = file.read(_HEADER.size)
            length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else size
            start = position + _HEADER.size
            position = start + length + _FOOTER
            if position > size:
                raise DataError(
                    f"{path} is truncated, or is not a TFRecord file: the record at byte "
                    f"{start - _HEADER.size} is longer than the file.",
                    "Copy the file again; it must not be compressed.",
                )
            yield start, length


def _decode_error() -> type[Exception]:
    error: type[Exception] = needed("google.protobuf.message").DecodeError
    return error
