"""Calibration statistics, gathered once: in memory for the run, on disk where a folder is given.

Statistics depend on the FP32 graph, the calibration data and the sample size, and on nothing that
is searched. A ``Section`` holds those of one such combination as plain arrays under names that the
host chooses; its key is a digest of everything that they depend on.

Files are NumPy archives without pickled objects, each with a digest of its own content. A file
that is damaged, cut short or written by something else is named in a warning and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.version import __version__

logger = logging.getLogger("nc_sigopt_strategy")

Array = NDArray[Any]

_FORMAT = 1
_HEADER = "header"
_PREFIX = "array/"
_SUFFIX = ".calibration.npz"


def digest_of(*parts: str | bytes) -> str:
    """A digest of texts and bytes in their order, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


class Section:
    """The statistics of one graph on one sample of the data; names to arrays.

    Args:
        key: Digest of everything that the statistics depend on.
        path: Where they are kept between runs; ``None``: only in memory.
    """

    def __init__(self, key: str, path: Path | None = None) -> None:
        self.key = key
        self.path = path
        self._arrays: dict[str, Array] = _read(path, key) if path is not None else {}

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __len__(self) -> int:
        return len(self._arrays)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that are not there, each once, in their order."""
        return [name for name in dict.fromkeys(names) if name not in self._arrays]

    def add(self, arrays: Mapping[str, Array]) -> None:
        """Take up arrays and, where there is a file, write it anew.

        A disk that is full costs the next run its head start, not this run its trial.
        """
        self._arrays.update({name: np.asarray(array) for name, array in arrays.items()})
        if self.path is None:
            return
        try:
            write_whole(self.path, _pack(self.key, self._arrays))
        except OSError as error:
            logger.warning("Calibration statistics are not kept on disk: %s", error)
            self.path = None


class StatisticsStore:
    """The sections of a run.

    Args:
        folder: Keeps the statistics for later runs; ``None``: they end with the process.
        data_digest: Digest of the calibration data. Without it nothing is read from or written to
            the folder, because a file could not be told from one of other data.
    """

    def __init__(self, folder: Path | None = None, data_digest: str | None = None) -> None:
        self._folder = folder
        self._data_digest = data_digest
        self._loaders: list[Any] = []
        self._sections: dict[tuple[int, str], Section] = {}

    def section(self, dataloader: Any, *depends_on: str) -> Section:
        """The statistics of one dataloader's data.

        Args:
            dataloader: Those of one are never served for another.
            depends_on: A graph's digest, a sample size, versions, and whatever else matters.
        """
        if not any(dataloader is known for known in self._loaders):
            self._loaders.append(dataloader)
        position = next(i for i, known in enumerate(self._loaders) if dataloader is known)
        key = digest_of(self._data_digest or "", *depends_on)
        if (position, key) not in self._sections:
            path = None
            if self._folder is not None and self._data_digest is not None:
                path = self._folder / f"{key}{_SUFFIX}"
            self._sections[position, key] = Section(key, path)
        return self._sections[position, key]


def _pack(key: str, arrays: Mapping[str, Array]) -> bytes:
    header = {
        "format": _FORMAT,
        "version": __version__,
        "key": key,
        "content": _content_digest(arrays),
    }
    buffer = io.BytesIO()
    packed: dict[str, Array] = {f"{_PREFIX}{name}": array for name, array in arrays.items()}
    packed[_HEADER] = np.array(json.dumps(header))
    np.savez_compressed(buffer, **packed)
    return buffer.getvalue()


def _read(path: Path, key: str) -> dict[str, Array]:
    if not path.exists():
        return {}
    why = "it is not a statistics file"
    # A hostile or damaged archive can raise nearly anything; none of it may end the run.
    with contextlib.suppress(Exception), np.load(path, allow_pickle=False) as archive:
        header = json.loads(str(archive[_HEADER]))
        arrays = {
            name.removeprefix(_PREFIX): archive[name]
            for name in archive.files
            if name.startswith(_PREFIX)
        }
        if header["format"] != _FORMAT:
            why = f"its format is {header['format']!r}, not {_FORMAT}"
        elif header["key"] != key:
            why = "it is of another model, other data or other versions"
        elif header["content"] != _content_digest(arrays):
            why = "its content is damaged"
        else:
            return arrays
    logger.warning("The calibration statistics in %s are made again: %s.", path, why)
    return {}


def _content_digest(arrays: Mapping[str, Array]) -> str:
    parts: list[str | bytes] = []
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        parts += [name, array.dtype.str, repr(array.shape), array.tobytes()]
    return digest_of(*parts)
