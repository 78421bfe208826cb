"""What kind of model somebody gives, told without importing a framework."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
# What PyTorch's own files end with: weights, a pickled module or TorchScript, nothing tells which.
_TORCH_FILES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
_FROM_TORCH_FILE = (
    "Load it in a Python file that defines model (the module with its weights), calib_dataloader "
    "and eval_func, and give that: nc-sigopt tune FILE.py; or write a program with "
    "torch.export.save, as a .pt2 file."
)
_WAYS = (
    "Give an ONNX model (.onnx), OpenVINO's IR (.xml), a frozen graph (.pb), a SavedModel's "
    "folder, a program of torch.export (.pt2), or a framework's own model object."
)


def kind_of_model(model: Any) -> str:
    """One of this page's kinds, as words that name it.

    Args:
        model: A path, a framework's model object, or the bytes of an ONNX model.

    Raises:
        ModelError: There is no such file, or it is of no kind known here.
    """
    if isinstance(model, (str, os.PathLike)):
        return _kind_of_path(Path(model).expanduser())
    if isinstance(model, (bytes, bytearray, memoryview)):
        return ONNX  # no other framework gives a model as bytes
    for known in type(model).__mro__:
        kind = _OF_CLASS.get((known.__module__.split(".")[0], known.__name__))
        if kind is not None:
            return kind
    if isinstance(model, type):
        raise ModelError(
            f"The class {model.__name__} was given, which is no model.",
            f"Give an object of it with its weights loaded: {model.__name__}(...).",
        )
    if isinstance(model, Mapping) and any(hasattr(value, "dtype") for value in model.values()):
        raise ModelError(
            f"A {type(model).__name__} of weights is no model that can be tuned.",
            "Make the module that they are of, module.load_state_dict(...), and give that.",
        )
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
    suffix = path.suffix.lower()
    kind = _OF_SUFFIX.get(suffix)
    if kind is None and suffix in _TORCH_FILES:
        raise ModelError(
            f"{path} is a file of PyTorch's that does not hold the model's code.", _FROM_TORCH_FILE
        )
    if kind is None:
        raise ModelError(f"{path} is of no kind of model known here.", _WAYS)
    return kind
