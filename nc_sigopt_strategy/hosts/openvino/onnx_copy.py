"""A copy of an ONNX model that OpenVINO reads, where it does not take the model as it is.

OpenVINO knows no local functions of a model, and keeps float16 as the type that a graph computes
in, which is no FP32 to judge accuracy by.
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
    """The model in float32 and without local functions.

    Args:
        given: Its path, or a ``ModelProto``.

    Returns:
        ``None`` if it is so already, if the package onnx is not installed, or if the copy would be
        larger than one file of protobuf.

    Raises:
        ModelError: It is no ONNX model, or its weights are not found.
    """
    try:
        import onnx.inliner

        from nc_sigopt_strategy.backends.onnx_files import fits_one_file, read_model
        from nc_sigopt_strategy.backends.onnx_precision import in_float32, other_precisions
        from nc_sigopt_strategy.backends.onnx_protos import type_name
    except ImportError:
        return None
    model, what = given, "The ONNX model"
    if isinstance(given, (str, os.PathLike)):
        path = Path(given).expanduser().absolute()
        model, what = read_model(path), repr(str(path))
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
    return OnnxCopy(model, tuple(notes)) if notes and fits_one_file(model) else None
