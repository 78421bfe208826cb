"""Keras 3 models: INC cannot read them, and reads what they export."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import ModelError, in_one_line

# Where INC's model object of an exported model keeps the export.
_KEPT = "_nc_sigopt_export"
_FILES = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True)
class ExportedKeras:
    """A Keras 3 model as a SavedModel, which lasts as long as this does.

    Attributes:
        path: Of the SavedModel's folder.
        folder: What owns it.
    """

    path: str
    folder: Any


def exported(model: Any) -> ExportedKeras | None:
    """A Keras 3 model, or a file of one, as a SavedModel; ``None`` for anything else.

    Args:
        model: What the user gives: an object or a path; what was exported already comes back.

    Raises:
        ModelError: Keras cannot load or export it.
    """
    if isinstance(model, ExportedKeras):
        return model
    if isinstance(model, (str, os.PathLike)):
        path = str(Path(model).expanduser())
        if path.lower().endswith(_FILES) and os.path.isfile(path):
            model = _loaded(path)
    if not _is_keras_3(model):
        return None
    folder = tempfile.TemporaryDirectory(prefix="nc-sigopt-keras-")
    path = str(Path(folder.name) / "saved_model")
    try:
        # Keras prints what it exports.
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            model.export(path)
    except Exception as error:
        raise ModelError(
            f"The Keras model {getattr(model, 'name', '')!r} cannot be exported as a SavedModel, "
            f"which Neural Compressor needs: {in_one_line(error)}",
            "Export it yourself with model.export(folder) and give the folder.",
        ) from error
    return ExportedKeras(path, folder)


def _is_keras_3(model: Any) -> bool:
    keras = sys.modules.get("keras")
    version = str(getattr(keras, "__version__", "0"))
    if keras is None or not version.split(".")[0].isdigit() or int(version.split(".")[0]) < 3:
        return False
    return isinstance(model, keras.Model)


def _loaded(path: str) -> Any:
    try:
        import keras
    except ImportError:
        return path
    if int(keras.__version__.split(".")[0]) < 3:
        return path
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise ModelError(
            f"Keras {keras.__version__} cannot load {path}: {in_one_line(error)}",
            "Load it yourself and give the model, or export it with model.export(folder).",
        ) from error


def keep_export(wrapped: Any, export: ExportedKeras) -> None:
    """Note on INC's model object what it is of: INC reads a SavedModel again and again."""
    setattr(wrapped, _KEPT, export)


def came_from_keras(model: Any) -> bool:
    """Whether INC's model object is of what ``exported`` made of a Keras model."""
    return getattr(model, _KEPT, None) is not None
