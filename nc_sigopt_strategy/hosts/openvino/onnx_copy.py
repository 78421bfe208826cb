"""A copy of an ONNX model that OpenVINO reads, where it does not take the model as it is.

OpenVINO knows no local functions of a model, keeps float16 as the type that a graph computes in,
which is no FP32 to judge accuracy by, and reads no weights over links that leave the model's
folder, which is how Hugging Face's cache keeps them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class OnnxCopy:
    """A copy to read in the model's place.

    Attributes:
        model: A ``ModelProto`` with its weights.
        notes: What was changed, in sentences.
    """

    model: Any
    notes: tuple[str, ...]


def readable_copy(given: Any) -> OnnxCopy | None:
    """The model in float32, without local functions, and with the weights that lie beside it.

    Args:
        given: Its path, a ``ModelProto``, or its bytes.

    Returns:
        ``None`` if it is so already, if the package onnx is not installed, or if the copy would be
        larger than one file of protobuf.

    Raises:
        ModelError: It is no ONNX model, or its weights are not found.
    """
    try:
        import onnx.inliner

        from nc_sigopt_strategy.backends.onnx_files import (
            fits_one_file,
            lacks_weights,
            load_weights,
            parsed,
        )
        from nc_sigopt_strategy.backends.onnx_precision import in_float32, other_precisions
        from nc_sigopt_strategy.backends.onnx_protos import type_name
    except ImportError:
        return None
    model, what, folder = given, "The ONNX model", None
    if isinstance(given, (str, os.PathLike)):
        path = Path(given).expanduser().absolute()
        what, folder = repr(str(path)), path.parent
        model = parsed(path.read_bytes(), what)
    elif isinstance(given, (bytes, bytearray, memoryview)):
        model = parsed(bytes(given), what)
    had_weights_beside = lacks_weights(model)
    load_weights(model, folder, what)
    notes: list[str] = []
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
        notes.append(
            f"{what} has local functions, which OpenVINO does not read: a copy is tuned in which "
            "their nodes stand in the graph itself, and recipe.json is for that copy."
        )
    kinds = other_precisions(model)
    if kinds:
        model = in_float32(model, kinds)
        notes.append(
            f"{what} is in {' and '.join(map(type_name, kinds))}: a copy in float32 is tuned, "
            "which all results are compared with, and recipe.json is for that copy."
        )
    is_another = bool(notes) or had_weights_beside
    return OnnxCopy(model, tuple(notes)) if is_another and fits_one_file(model) else None
