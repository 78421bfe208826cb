"""Weights from PyTorch's files (.pth, .pt), read without PyTorch.

A file of ``torch.save`` is a pickle that names storages, and the storages as raw bytes: since
PyTorch 1.6 in a zip archive (``NAME/data.pkl``, ``NAME/data/KEY``), before in one stream, behind a
magic number, a protocol number and a note on the machine
(https://docs.pytorch.org/docs/stable/notes/serialization.html). A pickle can call whatever it
names; here it may name what tensors and dictionaries are made of, and nothing else.
"""

from __future__ import annotations

import collections
import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.errors import ModelError

Array = npt.NDArray[Any]

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_TYPES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
_COUNT = np.dtype("<i8")
_WAY_OUT = "Save its state_dict() alone, with torch.save; or copy the file again."


def read_state_dict(path: Path) -> dict[str, Array]:
    """Name to array of a file that ``torch.save(model.state_dict(), path)`` wrote.

    Raises:
        ModelError: It is no such file, is damaged, or holds more than tensors by name.
    """
    try:
        found = _in_archive(path) if zipfile.is_zipfile(path) else _in_stream(path)
    except ModelError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    if not isinstance(found, Mapping):
        raise _unreadable(path, f"it holds a {type(found).__name__}, not tensors by name")
    arrays = {}
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise _unreadable(path, f"its entry {name!r} is a {type(tensor).__name__}, no tensor")
        arrays[name] = tensor.array(path, name)
    return arrays


@dataclass(frozen=True)
class _StorageType:
    """Stands for PyTorch's class of storages of one type."""

    name: str


class _Storage:
    """Numbers in a row, which tensors are views of; read after the tensors are known."""

    def __init__(self, kind: _StorageType, numbers: int) -> None:
        self.type, self.size = _TYPES[kind.name], int(numbers)
        self.data: Array = np.empty(0, self.type)

    def fill(self, content: bytes) -> None:
        self.data = np.frombuffer(content, self.type)
        if len(self.data) != self.size:
            raise EOFError(f"a storage has {len(self.data)} numbers instead of {self.size}")


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage, as PyTorch's ``_rebuild_tensor_v2`` gets it."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, path: Path, name: str) -> Array:
        """A copy in C order."""
        if 0 in self.shape:
            return np.empty(self.shape, self.storage.type)
        last = self.offset + sum(
            (n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)
        )
        inside = 0 <= self.offset <= last < self.storage.size
        if not inside or min((*self.shape, *self.strides), default=0) < 0:
            raise _unreadable(path, f"its tensor {name} lies outside of its storage")
        size = self.storage.type.itemsize
        view = np.lib.stride_tricks.as_strided(
            self.storage.data[self.offset :],
            self.shape,
            [stride * size for stride in self.strides],
            writeable=False,
        )
        return np.array(view, order="C")


class _TensorsOnly(pickle.Unpickler):
    """Knows tensors, storages and dictionaries, and refuses to import anything."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch" and name in _TYPES:
            return _StorageType(name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no part of a tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _, numbers, *_ = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise pickle.UnpicklingError(f"it refers to a {kind!r}")
        return self.storages.setdefault(str(key), _Storage(storage_type, numbers))


def _tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _in_archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise _unreadable(path, "it is a zip archive without one data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist():
            _check_order(path, archive.read(f"{folder}byteorder") == b"little")
        unpickler = _TensorsOnly(io.BytesIO(archive.read(pickles[0])))
        found = unpickler.load()
        for key, storage in unpickler.storages.items():
            storage.fill(archive.read(f"{folder}data/{key}"))
        return found


def _in_stream(path: Path) -> Any:
    with path.open("rb") as file:
        next_one: Callable[[], Any] = lambda: _TensorsOnly(file).load()  # noqa: E731
        if next_one() != _MAGIC or next_one() != _PROTOCOL:
            raise _unreadable(path, "it does not begin as PyTorch's files do")
        _check_order(path, bool(next_one()["little_endian"]))
        unpickler = _TensorsOnly(file)
        found = unpickler.load()
        for key in next_one():
            storage = unpickler.storages[str(key)]
            count = int(np.frombuffer(file.read(_COUNT.itemsize), _COUNT)[0])
            if count != storage.size:
                raise EOFError(f"a storage has {count} numbers instead of {storage.size}")
            storage.fill(file.read(count * storage.type.itemsize))
        return found


def _check_order(path: Path, little: bool) -> None:
    if not little:
        raise _unreadable(path, "its numbers are big-endian")


def _unreadable(path: Path, why: str) -> ModelError:
    return ModelError(f"The weights {path} cannot be read: {why.rstrip('.')}.", _WAY_OUT)
