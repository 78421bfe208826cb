"""PyTorch's files, read without PyTorch: written here as ``torch.save`` writes them."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nc_sigopt_benchmarks.models.torch_files import read_state_dict
from nc_sigopt_strategy.errors import ModelError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MACHINE = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"int": 4}}


class Storage:
    """Numbers of a tensor, which a pickle refers to by a key."""

    def __init__(self, key: str, data: np.ndarray, claimed: int | None = None) -> None:
        self.key, self.data = key, data
        self.claimed = len(data) if claimed is None else claimed


class Tensor:
    """A view of a storage that pickles as PyTorch's tensors do."""

    def __init__(self, storage: Storage, offset: int, shape: Any, strides: Any) -> None:
        self.parts = (storage, offset, tuple(shape), tuple(strides), False, OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.parts


@pytest.fixture(autouse=True)
def torch_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pickle names; nothing of it is there when it is read."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage", "ComplexFloatStorage"):
        kind = type(name, (), {"__module__": "torch"})
        setattr(torch, name, kind)

    def _rebuild_tensor_v2(*parts: Any) -> None:
        raise AssertionError("reading must not call what a file names")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils",
        ("_rebuild_tensor_v2"),
    )
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    torch._utils = utils  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def pickled(what: Any, kind: str = "FloatStorage") -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if not isinstance(obj, Storage):
                return None
            is_long = obj.data.dtype == np.int64
            named = getattr(sys.modules["torch"], "LongStorage" if is_long else kind)
            return ("storage", named, obj.key, "cpu", obj.claimed)

    file = io.BytesIO()
    Pickler(file, protocol=2).dump(what)
    return file.getvalue()


def legacy(path: Path, what: Any, storages: list[Storage], machine: Any = MACHINE) -> Path:
    content = b"".join(pickle.dumps(x, protocol=2) for x in (MAGIC, PROTOCOL, machine))
    content += pickled(what) + pickle.dumps([s.key for s in storages], protocol=2)
    for storage in storages:
        content += struct.pack("<q", storage.claimed) + storage.data.tobytes()
    path.write_bytes(content)
    return path


def archive(path: Path, what: Any, storages: list[Storage], order: bytes = b"little") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("lite/data.pkl", pickled(what))
        file.writestr("lite/byteorder", order)
        for storage in storages:
            file.writestr(f"lite/data/{storage.key}", storage.data.tobytes())
    return path


def some() -> tuple[dict[str, Any], list[Storage]]:
    floats = Storage("a", np.arange(12, dtype=np.float32))
    count = Storage("b", np.array([7], np.int64))
    return OrderedDict(
        plain=Tensor(floats, 0, (3, 4), (4, 1)),
        swapped=Tensor(floats, 2, (2, 3), (1, 4)),
        count=Tensor(count, 0, (), ()),
        none=Tensor(floats, 0, (0, 4), (4, 1)),
    ), [floats, count]


@pytest.mark.parametrize("write", [legacy, archive])
def test_tensors_are_read_as_they_were(write: Any, tmp_path: Path) -> None:
    found = read_state_dict(write(tmp_path / "w.pth", *some()))
    assert np.array_equal(found["plain"], np.arange(12).reshape(3, 4))
    assert np.array_equal(found["swapped"], [[2, 6, 10], [3, 7, 11]])
    assert found["swapped"].flags.c_contiguous
    assert (found["count"].dtype, found["count"].shape, int(found["count"])) == ("int64", (), 7)
    assert found["none"].shape == (0, 4)


@pytest.mark.parametrize("write", [legacy, archive])
def test_a_pickle_that_calls_something_calls_nothing(write: Any, tmp_path: Path) -> None:
    class Calls:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "called",)

    path = write(tmp_path / "w.pth", {"x": Calls()}, [])
    with pytest.raises(ModelError, match="which is no part of a tensor"):
        read_state_dict(path)
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (13,), (1,)), (9, (2, 2), (3, 1)), (-1, (2,), (1,)), (11, (3,), (-4,)), (0, (2,), (12,))],
)
def test_a_view_beyond_its_storage_is_refused(
    offset: int, shape: Any, strides: Any, tmp_path: Path
) -> None:
    storage = Storage("a", np.arange(12, dtype=np.float32))
    what = {"x": Tensor(storage, offset, shape, strides)}
    with pytest.raises(ModelError, match="x lies outside of its storage"):
        read_state_dict(archive(tmp_path / "w.pth", what, [storage]))


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-4])
    return path


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("text", "UnpicklingError|does not begin as PyTorch's files do|EOFError|ValueError"),
        ("pickle", "does not begin as PyTorch's files do"),
        ("cut", "numbers instead of"),
        ("claimed", "has 12 numbers instead of 13"),
        ("big", "big-endian"),
        ("big_archive", "big-endian"),
        ("model", "holds a list, not tensors by name"),
        ("nested", "its entry 'epoch' is a int, no tensor"),
        ("zip", "without one data.pkl"),
        ("type", "names torch.ComplexFloatStorage"),
    ],
)
def test_what_cannot_be_read_is_said(case: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    what, storages = some()
    if case == "text":
        path.write_text("no weights at all")
    elif case == "pickle":
        path.write_bytes(pickle.dumps(4711))
    elif case == "cut":
        cut(legacy(path, what, storages[::-1]))
    elif case == "claimed":
        short = Storage("a", np.arange(12, dtype=np.float32), claimed=13)
        archive(path, {"x": Tensor(short, 0, (12,), (1,))}, [short])
    elif case == "big":
        legacy(path, what, storages, {**MACHINE, "little_endian": False})
    elif case == "big_archive":
        archive(path, what, storages, b"big")
    elif case == "model":
        archive(path, [1], [])
    elif case == "nested":
        archive(path, {"epoch": 3}, [])
    elif case == "type":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("w/data.pkl", pickled(what, "ComplexFloatStorage"))
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("readme", "nothing")
    with pytest.raises(ModelError, match=said) as raised:
        read_state_dict(path)
    assert str(path) in str(raised.value)
