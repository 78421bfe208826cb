"""Safetensors files, written here byte for byte."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_benchmarks.models.safetensors_files import read_safetensors
from nc_sigopt_strategy.errors import ModelError


def written(path: Path, header: Any, data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_tensors_are_read_as_they_were(tmp_path: Path) -> None:
    first, second = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([5, 6], np.int64)
    header = {
        "__metadata__": {"format": "pt"},
        "first": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "second": {"dtype": "I64", "shape": [2], "data_offsets": [24, 40]},
        "scalar": {"dtype": "F32", "shape": [], "data_offsets": [4, 8]},
    }
    content = first.tobytes() + second.tobytes()
    found = read_safetensors(written(tmp_path / "w.safetensors", header, content))
    assert list(found) == ["first", "second", "scalar"]
    assert np.array_equal(found["first"], first)
    assert np.array_equal(found["second"], second)
    assert float(found["scalar"]) == 1.0


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [3], "data_offsets": [4, 16]},
        {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]},
        {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
        {"shape": [2]},
        [1, 2],
    ],
)
def test_what_cannot_be_read_is_said(entry: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", {"x": entry}, bytes(12))
    with pytest.raises(ModelError, match=r"The weights .*w\.safetensors cannot be read"):
        read_safetensors(path)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for content in (b"", b"x", b"no header at all, just text"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="cannot be read"):
            read_safetensors(path)
    with pytest.raises(ModelError, match="cannot be read"):
        read_safetensors(tmp_path / "missing")
