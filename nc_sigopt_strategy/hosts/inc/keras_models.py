"""Keras 3 models: INC cannot read them, and reads what they export."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import ModelError, in_one_line
from nc_sigopt_strategy.hosts.inc.given_graph import graph_of

# Where INC's model object of an exported model keeps the export.
_KEPT = "_nc_sigopt_export"
_evaluated: ContextVar[Any] = ContextVar("INC's model object that is evaluated", default=None)
# How TensorFlow calls the outputs of a function that returns a list.
_LISTED_OUTPUT = re.compile("output_([0-9]+)")
_SIGNATURE = "serving_default"
_FILES = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True)
class ExportedKeras:
    """A Keras 3 model as a SavedModel, which lasts as long as this does.

    Attributes:
        path: Of the SavedModel's folder.
        folder: What owns it.
        inputs: Names of its inputs in Keras' order; empty where Keras does not tell.
        outputs: Keys of its outputs in the order in which INC has them: that of text.
    """

    path: str
    folder: Any
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def outputs_by_name(self) -> bool:
        """Whether Keras' model returns a dict, and not an array or a list of them."""
        return not all(_LISTED_OUTPUT.fullmatch(key) for key in self.outputs)


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
            _for_inference(model).export(path)
    except Exception as error:
        raise ModelError(
            f"The Keras model {getattr(model, 'name', '')!r} cannot be exported as a SavedModel, "
            f"which Neural Compressor needs: {in_one_line(error)}",
            "Export it yourself with model.export(folder) and give the folder.",
        ) from error
    return ExportedKeras(path, folder, _inputs_of(model), _outputs_of(path))


def _for_inference(model: Any) -> Any:
    """A model that exports what ``predict`` computes.

    Export calls the model without saying whether it trains, which layers that augment images
    take for a yes: what they draw would be random, and the state of that a variable.
    """
    if not getattr(model, "inputs", None) or not any(map(_trains_unasked, _layers_of(model))):
        return model
    import keras

    # Several are a list or a dict in `input`, which a Sequential, with one, does not have.
    given = model.inputs[0] if len(model.inputs) == 1 else model.input
    return keras.Model(given, model(given, training=False), name=model.name)


def _layers_of(model: Any) -> list[Any]:
    # Keras' own walk finds layers within layers, too, which the public one does not.
    walk = getattr(model, "_flatten_layers", None)
    return list(walk() if callable(walk) else model.layers)


def _trains_unasked(layer: Any) -> bool:
    training = inspect.signature(layer.call).parameters.get("training")
    return training is not None and training.default is True


def _inputs_of(model: Any) -> tuple[str, ...]:
    """Names of a model's inputs in Keras' order; empty for a class of the user's own."""
    return tuple(str(tensor.name) for tensor in getattr(model, "inputs", None) or ())


def _outputs_of(folder: str) -> tuple[str, ...]:
    # Imported late: other frameworks' models come by here.
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    text = (Path(folder) / "saved_model.pb").read_bytes()
    signatures = SavedModel.FromString(text).meta_graphs[0].signature_def
    return tuple(sorted(signatures[_SIGNATURE].outputs))


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
    """Note on INC's model object what it is of, and bring its ends into Keras' order.

    INC has them in the order of the names, which swaps what comes by position.

    Args:
        wrapped: INC's model object of the exported folder, which has to last as long.
        export: The folder.

    Raises:
        ModelError: TensorFlow cannot make a graph of it.
    """
    setattr(wrapped, _KEPT, export)
    graph_of(wrapped)
    inputs = [name.removesuffix(":0") for name in wrapped.input_tensor_names]
    if len(inputs) > 1 and sorted(inputs) == sorted(export.inputs):
        wrapped.input_tensor_names = list(export.inputs)
    outputs = wrapped.output_tensor_names
    if len(outputs) == len(export.outputs) and not export.outputs_by_name:
        order = [int(key.removeprefix("output_")) for key in export.outputs]
        by_number = sorted(zip(order, outputs, strict=True))
        wrapped.output_tensor_names = [name for _, name in by_number]


def export_of(wrapped: Any) -> ExportedKeras | None:
    """What ``exported`` made of a Keras model, where INC's model object is of that."""
    found: ExportedKeras | None = getattr(wrapped, _KEPT, None)
    return found


def came_from_keras(model: Any) -> bool:
    """Whether INC's model object is of what ``exported`` made of a Keras model."""
    return export_of(model) is not None


@contextlib.contextmanager
def evaluating_now(wrapped: Any) -> Iterator[None]:
    """Inside, this model object of INC's is the one that the user's function evaluates."""
    token = _evaluated.set(wrapped)
    try:
        yield
    finally:
        _evaluated.reset(token)


def evaluated_now(otherwise: Any) -> Any:
    """INC's model object that is evaluated; ``otherwise`` where none is."""
    found = _evaluated.get()
    return otherwise if found is None else found
