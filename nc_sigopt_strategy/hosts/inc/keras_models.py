"""Keras 3 models: INC cannot read them, and reads what they export."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import ModelError, in_one_line

# Where INC's model object of an exported model keeps the folder.
KEPT = "_nc_sigopt_folder"
_FILES = (".keras", ".h5", ".hdf5")


def as_saved_model(model: Any) -> tuple[Any, Any]:
    """A Keras 3 model, or a file of one, as the path of a SavedModel; anything else as it is.

    Args:
        model: What the user gave to ``fit``.

    Returns:
        Model or path, and what has to be kept as long as the path is used.

    Raises:
        ModelError: Keras cannot load or export it.
    """
    if isinstance(model, str) and model.endswith(_FILES) and os.path.isfile(model):
        model = _loaded(model)
    if not _is_keras_3(model):
        return model, None
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
            "Export it yourself with model.export(folder) and give fit the folder.",
        ) from error
    return path, folder


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
            "Load it yourself and give fit the model, or export it with model.export(folder).",
        ) from error


def came_from_keras(model: Any) -> bool:
    """Whether ``as_saved_model`` exported what INC's model object is of."""
    return getattr(model, KEPT, None) is not None
