"""Calibration statistics, gathered once: in memory for the run, on disk where a folder is given.

Statistics depend on the FP32 graph, the calibration data and the sample size, and on nothing that
is searched. A ``Section`` holds those of one such combination as plain arrays under names that the
host chooses; its key is a digest of everything that they depend on.

Files are NumPy archives without pickled objects, each with a digest of its own content. A file
that is damaged, cut short or written by something else is named in a warning and made again. So is
one of another user, a link, a pipe and one that unpacks to more than statistics ever take. What a
host reads of a file is held to the form that it would have written it in; see ``Section.expect``.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nc_sigopt_strategy.errors import shown
from nc_sigopt_strategy.files import open_regular, write_whole
from nc_sigopt_strategy.version import __version__

logger = logging.getLogger("nc_sigopt_strategy")

Array = NDArray[Any]
Fits = Callable[[Array], bool]

# Bytes that the arrays of a file may take: twice int8 of the weights of the largest ONNX file.
LARGEST_CONTENT = 1 << 30
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
        self._unchecked = set(self._arrays)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __len__(self) -> int:
        return len(self._arrays)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that are not there, each once, in their order."""
        return [name for name in dict.fromkeys(names) if name not in self._arrays]

    def expect(self, fits: Mapping[str, Fits]) -> None:
        """Drop what came from a file if any of it is not as it must be; it is made again then.

        What was asked for before and was as it must be stays.

        Args:
            fits: Name to whether an array can be what has that name. Each is asked once.
        """
        asked = self._unchecked & fits.keys()
        wrong = sorted(name for name in asked if not fits[name](self._arrays[name]))
        if not wrong:
            self._unchecked -= asked
            return
        logger.warning(
            "The calibration statistics in %s are made again: %d of them cannot be any, such as "
            "%s.",
            self.path,
            len(wrong),
            shown(wrong[0]),
        )
        for name in self._unchecked:
            del self._arrays[name]
        self._unchecked = set()

    def add(self, arrays: Mapping[str, Array]) -> None:
        """Take up arrays and, where there is a file, write it anew.

        A disk that is full costs the next run its head start, not this run its trial.
        """
        self._arrays.update({name: np.asarray(array) for name, array in arrays.items()})
        self._unchecked -= arrays.keys()
        if self.path is None:
            return
        try:
            size = sum(array.nbytes for array in self._arrays.values())
            if size > LARGEST_CONTENT:
                raise OSError(f"they take {size / 1e6:.0f} MB, more than would be read again")
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
    why = "it is not a statistics file"
    # A hostile or damaged archive can raise nearly anything; none of it may end the run.
    try:
        with open_regular(path, owned=True) as stream:
            return _unpacked(stream, key)
    except FileNotFoundError:
        return {}
    except OSError as error:
        why = error.strerror or why
    except _UnfitError as error:
        why = str(error)
    except Exception as error:
        logger.debug("Where reading %s failed", path, exc_info=error)
    logger.warning(
        "The calibration statistics in %s are made again: %s.", path, why[:1].lower() + why[1:]
    )
    return {}


class _UnfitError(Exception):
    """Why a file does not serve, in words."""


def _unpacked(stream: BinaryIO, key: str) -> dict[str, Array]:
    with zipfile.ZipFile(stream) as archive:
        # No more of a member is unpacked than is said here.
        size = sum(member.file_size for member in archive.infolist())
    if size > LARGEST_CONTENT:
        raise _UnfitError(f"it unpacks to {size / 1e6:.0f} MB")
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as arrays:
        header = json.loads(str(arrays[_HEADER]))
        if header["format"] != _FORMAT:
            raise _UnfitError(f"its format is {header['format']!r}, not {_FORMAT}")
        if header["key"] != key:
            raise _UnfitError("it is of another model, other data or other versions")
        found = {
            name.removeprefix(_PREFIX): arrays[name]
            for name in arrays.files
            if name.startswith(_PREFIX)
        }
    if header["content"] != _content_digest(found):
        raise _UnfitError("its content is damaged")
    return found


def _content_digest(arrays: Mapping[str, Array]) -> str:
    parts: list[str | bytes] = []
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        parts += [name, array.dtype.str, repr(array.shape), array.tobytes()]
    return digest_of(*parts)
