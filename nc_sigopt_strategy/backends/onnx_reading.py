"""ONNX models as users give them, and the copy that a host works on in their place.

The user's own model stays what everything is judged by: its accuracy, its latency and its outputs.
"""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from nc_sigopt_strategy.backends.onnx_checks import (
    refuse_inputs,
    refuse_quantized,
    refuse_unloadable,
)
from nc_sigopt_strategy.backends.onnx_files import (
    lacks_weights,
    load_weights,
    parsed,
    read_model,
    weights_are_in,
)
from nc_sigopt_strategy.backends.onnx_precision import in_float32, other_precisions
from nc_sigopt_strategy.backends.onnx_protos import opsets_of, real_inputs, type_name
from nc_sigopt_strategy.errors import ModelError

logger = logging.getLogger("nc_sigopt_strategy")

# What else a path may lead to: formats of TensorFlow's.
_NOT_ONNX = (".pb", ".h5", ".keras", ".meta", ".ckpt", ".tflite")
# The IR version from which on constants need not be listed as inputs.
_CONSTANTS_BY_THEMSELVES = 4
_OF_TENSORFLOW = ("saved_model.pb", "checkpoint", "keras_metadata.pb")


@dataclass(frozen=True)
class WorkingCopy:
    """A user's model, and one that can be quantized.

    Attributes:
        users: The model that results are compared with: as it was given, or where that cannot run
            here, converted to float32.
        working: A copy in float32 without inputs that have a default.
        notes: What was changed, in sentences.
    """

    users: Any
    working: Any
    notes: tuple[str, ...] = ()


def is_onnx_path(path: str) -> bool:
    """Whether a path leads to an ONNX model, or says that it does.

    Raises:
        ModelError: It leads to a folder with ONNX models in it.
    """
    suffix = Path(path).suffix.lower()
    if suffix in (".onnx", ".ort"):
        return True
    file = Path(path).expanduser()
    models = sorted(found.name for found in file.glob("*.onnx")) if file.is_dir() else []
    if models and not any((file / name).exists() for name in _OF_TENSORFLOW):
        raise ModelError(
            f"{path!r} is a folder; the ONNX models in it are {', '.join(models)}.",
            "Give the path of one of them.",
        )
    if suffix in _NOT_ONNX or not file.is_file():
        return False
    with contextlib.suppress(ModelError):
        return bool(parsed(file.read_bytes(), path).ir_version)
    return False


def read_given(root: Any) -> tuple[Any, str | None] | None:
    """The model with its weights, and the path that it came from.

    Args:
        root: What a user gave: a path, a ``ModelProto`` or serialized bytes; a proto stays as it
            is.

    Returns:
        ``None`` if it is no ONNX model.

    Raises:
        ModelError: It is one that cannot be read.
    """
    if isinstance(root, (str, os.PathLike)):
        text = os.fspath(root)
        if not is_onnx_path(text):
            return None
        # Not resolved: a link to a model may stand beside links to its weights.
        file = Path(text).expanduser().absolute()
        return read_model(file), str(file)
    if isinstance(root, (bytes, bytearray, memoryview)):
        root = parsed(bytes(root), "What was given")
    if not isinstance(root, onnx.ModelProto):
        return None
    return whole(root, None), None


def whole(proto: Any, path: Path | None) -> Any:
    """A copy of a loaded model with all of its weights.

    Args:
        proto: A ``ModelProto``.
        path: Where it was loaded from; ``None`` if nobody said.

    Raises:
        ModelError: Weights are in files that are not found.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    if lacks_weights(copy):
        # A runtime too looks in the current folder for what belongs to a model from memory.
        folder = path.parent if path is not None else Path.cwd()
        known = path is not None or weights_are_in(copy, folder)
        load_weights(copy, folder if known else None, "The model")
    return copy


def working_copy(proto: Any, path: str | None, tuner: str) -> WorkingCopy:
    """A copy of a user's model that can be quantized.

    Args:
        proto: With its weights.
        path: Where it came from; ``None`` for a model from memory.
        tuner: Who quantizes it, as the subject of a sentence.

    Raises:
        ModelError: It is quantized already, takes what is no tensor, or cannot run here.
    """
    what = "The model" if path is None else repr(path)
    refuse_quantized(proto, what)
    refuse_inputs(proto, what)
    users, working, notes = proto, _without_defaults(proto), []
    kinds = other_precisions(proto)
    types = " and ".join(map(type_name, kinds))
    if kinds:
        working = in_float32(working, kinds)
    try:
        refuse_unloadable(users, what)
    except ModelError:
        if not types:
            raise
        # bfloat16 has few kernels on a CPU; in float32 the model may run all the same.
        refuse_unloadable(working, what)
        users = onnx.ModelProto()
        users.CopyFrom(working)
        notes.append(
            f"{what} is in {types}, which cannot run here: it was converted to "
            "float32, which all results are compared with."
        )
    else:
        if types:
            notes.append(
                f"{what} is in {types}, and {tuner} quantizes float32: a copy in it is "
                "tuned, and recipe.json is for that copy. Accuracy, latency and output noise are "
                "compared with the model as it was given."
            )
    for note in notes:
        logger.info("%s", note)
    return WorkingCopy(users, working, tuple(notes))


def _without_defaults(proto: Any) -> Any:
    """A copy whose constants are no inputs, and that names each opset once, the standard first.

    INC takes the first entry for the opset (adaptor/onnxrt.py and quantizer.py, 2.6 and 3.7.1),
    and a constant that may be fed for an input. ONNX Runtime's quantizer refuses a second one.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    inputs = real_inputs(copy)
    optional = [i.name for i in copy.graph.input if i.name not in {g.name for g in inputs}]
    if optional and copy.ir_version >= _CONSTANTS_BY_THEMSELVES:
        logger.info(
            "Inputs with a default, which quantized models hold as a constant: %s.",
            ", ".join(optional),
        )
    del copy.graph.input[:]
    copy.graph.input.extend(inputs)
    # Until IR 3 every constant is an input: ONNX's converter of opsets takes no other one there.
    copy.ir_version = max(copy.ir_version, _CONSTANTS_BY_THEMSELVES)
    opsets = sorted(opsets_of(copy).items(), key=lambda opset: opset[0] != "")
    del copy.opset_import[:]
    copy.opset_import.extend(onnx.helper.make_opsetid(*opset) for opset in opsets)
    return copy
