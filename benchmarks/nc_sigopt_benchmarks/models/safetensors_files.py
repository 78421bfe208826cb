"""Weights from safetensors files: a JSON header that says where each tensor's bytes lie.

The layout is at https://huggingface.co/docs/safetensors: eight bytes with the header's length, the
header, and the bytes that its offsets count from.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.errors import ModelError

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_LENGTH_BYTES = 8


def read_safetensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Name to array; types that numpy does not have, such as BF16, are refused.

    Raises:
        ModelError: The file is missing, damaged, or has a type that cannot be read.
    """
    try:
        content = path.read_bytes()
        start = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
        header = json.loads(content[_LENGTH_BYTES:start])
        found = {
            name: _array(content[start:], entry)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The weights {path} cannot be read: {type(error).__name__}: {error}.",
            "Copy or download the file again.",
        ) from error
    return found


def _array(data: bytes, entry: Any) -> npt.NDArray[Any]:
    kind = np.dtype(_TYPES[entry["dtype"]])
    begin, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not 0 <= begin <= end <= len(data) or end - begin != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{end - begin} bytes from {begin} on for {entry['dtype']} of {shape}")
    return np.frombuffer(data[begin:end], kind).reshape(shape)
