"""What kind of model somebody gives, told without importing a framework."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import ModelError, visible

ONNX = "an ONNX model"
IR = "a model in OpenVINO's IR"
FROZEN = "a frozen TensorFlow graph"
SAVED_MODEL = "a SavedModel"
KERAS = "a Keras model"
TORCH = "a PyTorch module"
PROGRAM = "a program of torch.export"
_OF_SUFFIX = {
    ".onnx": ONNX,
    ".xml": IR,
    ".pb": FROZEN,
    ".pt2": PROGRAM,
    ".keras": KERAS,
    ".h5": KERAS,
}
# Top-level package and class of a framework's own model objects.
_OF_CLASS = {
    ("onnx", "ModelProto"): ONNX,
    ("openvino", "Model"): IR,
    ("tensorflow", "GraphDef"): FROZEN,
    ("tensorflow", "Graph"): FROZEN,
    ("torch", "Module"): TORCH,
    ("torch", "ExportedProgram"): PROGRAM,
    ("keras", "Model"): KERAS,
    ("tf_keras", "Model"): KERAS,
    ("tensorflow", "Model"): KERAS,
}
_WAYS = (
    "Give an ONNX model (.onnx), OpenVINO's IR (.xml), a frozen graph (.pb), a SavedModel's "
    "folder, a program of torch.export (.pt2), or a framework's own model object."
)


def kind_of_model(model: Any) -> str:
    """One of this page's kinds, as words that name it.

    Args:
        model: A path, or a framework's model object.

    Raises:
        ModelError: There is no such file, or it is of no kind known here.
    """
    if isinstance(model, (str, os.PathLike)):
        return _kind_of_path(Path(model).expanduser())
    for known in type(model).__mro__:
        kind = _OF_CLASS.get((known.__module__.split(".")[0], known.__name__))
        if kind is not None:
            return kind
    raise ModelError(f"A {type(model).__name__} is no model that can be tuned.", _WAYS)


def name_of_model(model: Any) -> str:
    """What reports call a model: a file's name without its suffix, a folder's, else its class's.

    In characters that can be seen, since it goes into stores, pages and terminals.

    Args:
        model: A path, or a framework's model object.
    """
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        return visible(path.name if path.is_dir() else path.stem)
    return type(model).__name__


def _kind_of_path(path: Path) -> str:
    if not path.exists():
        raise ModelError(f"There is no model {path}.", "Correct the path.")
    if path.is_dir():
        if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file():
            return SAVED_MODEL
        raise ModelError(f"The folder {path} holds no saved_model.pb.", _WAYS)
    kind = _OF_SUFFIX.get(path.suffix.lower())
    if kind is None:
        raise ModelError(f"{path} is of no kind of model known here.", _WAYS)
    return kind
