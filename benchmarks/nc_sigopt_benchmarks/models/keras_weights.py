"""Keras's models and weights as frozen graphs: downloaded, or from a file of the user's."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.models.frozen_graphs import USUAL_IMAGE_SIZE, sample_batch
from nc_sigopt_benchmarks.models.keras_graphs import INPUT, OUTPUT, frozen_graph
from nc_sigopt_benchmarks.models.saved_models import (
    FrozenModel,
    check_same,
    freeze_function,
    run_graph,
)
from nc_sigopt_strategy.errors import ModelError

ARCHITECTURES = {"mobilenet_v1": "MobileNet", "resnet50_v1": "ResNet50"}
_IMAGENET_CLASSES = 1000
# Channels that the classifier of each reads.
_FEATURES = {"mobilenet_v1": 1024, "resnet50_v1": 2048}
_URL = re.compile(r"https?://\S+")


def download_keras_model(name: str, tell: Callable[[str], None]) -> FrozenModel:
    """Keras's own ImageNet weights; Keras keeps them in ``~/.keras/models``.

    Raises:
        ModelError: They cannot be downloaded.
    """
    tell(f"Taking Keras's ImageNet weights of {name}; they are downloaded the first time.")
    keras = needed("tensorflow").keras
    try:
        model = _architecture(name, _IMAGENET_CLASSES, weights="imagenet")
    except Exception as error:  # Keras wraps what its download raises in a plain Exception
        url = _URL.search(str(error))
        where = url[0].rstrip(":") if url else "Keras's server"
        raise ModelError(
            f"Keras's ImageNet weights of {name} cannot be downloaded from {where}: {error}.",
            "Download that file elsewhere and name it: model.source path, model.path FILE.h5; or "
            "set model.source to digits, which needs no download.",
        ) from error
    frozen = FrozenModel(frozen_graph(model), (INPUT,), (OUTPUT,))
    keras.backend.clear_session()
    return frozen


def freeze_keras_file(path: Path, name: str) -> FrozenModel:
    """A whole Keras model, or weights of the architecture ``name``, as a frozen graph.

    Args:
        path: ``.h5`` or ``.keras``.
        name: ``mobilenet_v1`` or ``resnet50_v1``; matters where the file holds weights only.

    Raises:
        ModelError: The file cannot be read, or does not fit the architecture.
    """
    keras = needed("tensorflow").keras
    if _holds_architecture(path):
        try:
            model = keras.models.load_model(str(path), compile=False)
        except Exception as error:  # what Keras raises for what it cannot build varies
            raise ModelError(
                f"The Keras model {path} cannot be loaded: {_first_line(error)}.",
                "Load it with the Keras version that wrote it and export a SavedModel.",
            ) from error
    else:
        model = _with_weights(path, name)
    frozen = _frozen(model, path)
    keras.backend.clear_session()
    return frozen


def _frozen(model: Any, path: Path) -> FrozenModel:
    """With batch normalization folded: layer by layer where all are known, else in the graph."""
    tf = needed("tensorflow")
    try:
        frozen = FrozenModel(frozen_graph(model), (INPUT,), (OUTPUT,))
        batch = sample_batch(frozen.graph_def, INPUT)
        expected = [model(batch, training=False)]
        check_same(expected, run_graph(frozen, [batch]), path, "freezing it")
        return frozen
    except (ModelError, AttributeError, KeyError, ValueError):
        # A layer or a setting is not known there, or the model is not a functional one, whose
        # layers have symbolic tensors.
        names = [f"{INPUT}_{i}" if i else INPUT for i in range(len(model.inputs))]
        specs = [
            tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
            for tensor, name in zip(model.inputs, names, strict=True)
        ]

    def call(*inputs: Any) -> dict[str, Any]:
        results = model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)
        several = results if isinstance(results, (list, tuple)) else [results]
        return {f"{OUTPUT}_{i}" if i else OUTPUT: value for i, value in enumerate(several)}

    return freeze_function(tf.function(call).get_concrete_function(*specs), path)


def _holds_architecture(path: Path) -> bool:
    if zipfile.is_zipfile(path):
        return True
    with _opened(path) as file:
        return "model_config" in file.attrs


def _with_weights(path: Path, name: str) -> Any:
    if name not in ARCHITECTURES:
        raise ModelError(
            f"The Keras file {path} holds weights only, and model.name is {name!r}.",
            f"Set model.name to the architecture that they are of: {' or '.join(ARCHITECTURES)}; "
            "or give a whole model.",
        )
    classes = _classes(path, name)
    model = _architecture(name, classes, weights=None)
    try:
        model.load_weights(str(path))
    except Exception as error:  # Keras raises ValueError, KeyError and others
        raise ModelError(
            f"The weights in {path} do not fit {name}: {_first_line(error)}.",
            f"Give weights of Keras's {ARCHITECTURES[name]} (width 1.0, with include_top=True), "
            "saved by save_weights.",
        ) from error
    return model


def _classes(path: Path, name: str) -> int:
    """How many classes weights are for: the outputs of the kernel of their classifier."""
    shapes: list[tuple[int, ...]] = []
    with _opened(path) as file:
        file.visititems(
            lambda _, item: shapes.append(item.shape) if hasattr(item, "shape") else None
        )
    features = _FEATURES[name]
    kernel = (features,) if name == "resnet50_v1" else (1, 1, features)
    found = [shape[-1] for shape in shapes if shape[:-1] == kernel and shape[-1] != features]
    if not found:
        raise ModelError(
            f"The Keras file {path} holds no classifier of {name}: its weights were saved with "
            "include_top=False, or are of another model.",
            "Give weights with include_top=True, and the model.name that they belong to.",
        )
    return int(found[0])


def _architecture(name: str, classes: int, weights: str | None) -> Any:
    return getattr(needed("tensorflow").keras.applications, ARCHITECTURES[name])(
        input_shape=(USUAL_IMAGE_SIZE, USUAL_IMAGE_SIZE, 3),
        weights=weights,
        classes=classes,
        classifier_activation=None,
    )


def _opened(path: Path) -> Any:
    try:
        return needed("h5py").File(path, "r")
    except OSError as error:
        raise ModelError(
            f"The Keras file {path} cannot be read: {_first_line(error)}.",
            "It is damaged or incomplete: copy or download it again.",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
