"""``onnx.mapping``, with an onnx that has it and with one that has not."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest

import nc_sigopt_strategy
from nc_sigopt_strategy.hosts.inc.onnx_mapping import supply_mapping

onnx = pytest.importorskip("onnx")
TYPES = {
    "FLOAT": "float32",
    "UINT8": "uint8",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "FLOAT16": "float16",
    "BOOL": "bool",
    "STRING": "object",
}


def without_mapping(patch: pytest.MonkeyPatch) -> Any:
    """The module as later versions have it."""
    found = importlib.util.find_spec
    patch.delattr(onnx, "mapping", raising=False)
    patch.delitem(sys.modules, "onnx.mapping", raising=False)
    patch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnx.mapping" else found(name)
    )
    return onnx


def check_tables(mapping: Any) -> None:
    for name, dtype in TYPES.items():
        number = int(getattr(onnx.TensorProto, name))
        assert mapping.TENSOR_TYPE_TO_NP_TYPE[number] == np.dtype(dtype)
        assert mapping.NP_TYPE_TO_TENSOR_TYPE[np.dtype(dtype)] == number


def test_inc_finds_the_tables_once_the_strategy_is_registered() -> None:
    nc_sigopt_strategy.register()
    check_tables(onnx.mapping)


def test_where_there_is_none_it_is_supplied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = without_mapping(monkeypatch)
    supply_mapping(bare)
    supplied = sys.modules["onnx.mapping"]
    assert onnx.mapping is supplied
    check_tables(supplied)
    supply_mapping(bare)
    assert onnx.mapping is supplied


def test_where_there_is_one_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    there = object()
    monkeypatch.setattr(onnx, "mapping", there, raising=False)
    monkeypatch.setitem(sys.modules, "onnx.mapping", there)  # type: ignore[misc]
    supply_mapping(onnx)
    assert onnx.mapping is there
