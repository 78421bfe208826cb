"""Finding the model that a run configuration names, in the format that it asks for.

These checks come before Neural Compressor sees anything, because its own words for a wrong path
do not name the path.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Callable
from pathlib import Path

from nc_sigopt_benchmarks.config.run_config import ModelConfig
from nc_sigopt_benchmarks.models.benchmark_model import BenchmarkModel
from nc_sigopt_benchmarks.models.digits import (
    DIGITS_CLASSES,
    DIGITS_INPUT,
    DIGITS_OUTPUT,
    DigitsRecipe,
    digits_model_path,
)
from nc_sigopt_benchmarks.models.digits_resnet import ResnetRecipe, digits_resnet_path
from nc_sigopt_benchmarks.models.frozen_graphs import check_frozen_graph, op_name
from nc_sigopt_benchmarks.models.given_models import given_model
from nc_sigopt_benchmarks.models.keras_weights import download_keras_model
from nc_sigopt_benchmarks.models.model_formats import (
    cached_download,
    cached_onnx,
    model_size_bytes,
    onnx_ends,
)
from nc_sigopt_benchmarks.models.model_kinds import ONNX
from nc_sigopt_benchmarks.models.packaged_models import PACKAGED_MODELS, packaged_model
from nc_sigopt_strategy.errors import DataError, ModelError

__all__ = [
    "ASSETS_VARIABLE",
    "BenchmarkModel",
    "check_frozen_graph",
    "find_model",
    "model_size_bytes",
    "op_name",
]

ASSETS_VARIABLE = "NC_SIGOPT_ASSETS"
ASSETS_MODEL = "mobilenet_v1_1.0_224_frozen.pb"
ASSETS_IMAGES = "imagenet_sample"
MOBILENET, RESNET = "mobilenet_v1", "resnet50_v1"
_KNOWN = (MOBILENET, RESNET)
_TELL_NOTHING: Callable[[str], None] = lambda line: None  # noqa: E731


def find_model(
    config: ModelConfig, *, tell: Callable[[str], None] = _TELL_NOTHING
) -> BenchmarkModel:
    """The model of a run configuration, trained, downloaded or converted first if need be.

    Args:
        config: The ``model`` part of a run configuration.
        tell: Gets lines of text while a digits model is trained or weights are downloaded.

    Raises:
        ModelError: The model is unknown or missing, or is not what its name says.
        MissingExtraError: The package that ships it is not installed.
        DataError: The asset folder is incomplete.
    """
    source = config.source
    if source == "auto" and config.name in PACKAGED_MODELS:
        source = "package"
    if source != "path":
        _check_name(config.name, source)
    if source == "auto":
        has_assets = config.name == MOBILENET and os.environ.get(ASSETS_VARIABLE)
        source = "assets" if has_assets else "digits"
    if source == "path":
        found = given_model(config)
    elif source == "assets":
        found = _assets_model(config.name)
    elif source == "package":
        found = packaged_model(config.name, tell)
    elif source == "keras":
        found = _keras_model(config.name, tell)
    else:
        found = _digits_model(config.name, tell)
    given = {
        key: value
        for key in ("preprocessing", "label_offset")
        if (value := getattr(config, key)) is not None
    }
    return dataclasses.replace(_in_format(found, config.format), **given)


def _check_name(name: str, source: str) -> None:
    known = {"package": PACKAGED_MODELS, "auto": _KNOWN + PACKAGED_MODELS}.get(source, _KNOWN)
    if name in known:
        return
    elsewhere = {**dict.fromkeys(PACKAGED_MODELS, "package"), **dict.fromkeys(_KNOWN, "auto")}
    if name in elsewhere:
        raise ModelError(
            f"There is no model {name!r} of the source {source!r}; it has {', '.join(known)}.",
            f"Set model.source to {elsewhere[name]}.",
        )
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.3)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    raise ModelError(
        f"Unknown model {name!r}; known are {', '.join(known[:-1])} and {known[-1]}.",
        f"{meant}A model of your own has model.source 'path'.",
    )


def _in_format(found: BenchmarkModel, wanted: str) -> BenchmarkModel:
    if found.framework == "onnxruntime":
        if wanted == ONNX:
            return found
        raise ModelError(
            f"model.format is {wanted!r}, but {found.path} is an ONNX model, which cannot be "
            "turned into a TensorFlow graph here.",
            "Set model.format to onnx, or give the TensorFlow model that it was made of.",
        )
    if wanted != ONNX:
        return dataclasses.replace(found, format=wanted)
    path = cached_onnx(found.path, found.inputs, found.outputs)
    inputs, outputs, _ = onnx_ends(path)
    return dataclasses.replace(
        found, path=path, inputs=inputs, outputs=outputs, framework="onnxruntime", format=ONNX
    )


def _keras_model(name: str, tell: Callable[[str], None]) -> BenchmarkModel:
    path, inputs, outputs = cached_download(name, lambda: download_keras_model(name, tell))
    return BenchmarkModel(
        name=name,
        source="keras",
        description="Accuracy is top-1 with Keras's ImageNet weights.",
        path=path,
        inputs=inputs,
        outputs=outputs,
        preprocessing="caffe" if name == RESNET else "tf",
        classes=1000,
    )


def _assets_model(name: str) -> BenchmarkModel:
    if name != MOBILENET:
        raise ModelError(
            f"The assets hold {MOBILENET} only, not {name}.",
            "Set model.source to keras (Keras's weights, downloaded), to path (a file of your "
            "own) or to digits (the architecture trained on handwritten digits).",
        )
    root = os.environ.get(ASSETS_VARIABLE, "")
    way_out = (
        f"Point {ASSETS_VARIABLE} at a folder with {ASSETS_MODEL} and {ASSETS_IMAGES}/, or unset "
        "it to use the digits model, which needs no download."
    )
    if not root:
        raise DataError("model.source is 'assets', but NC_SIGOPT_ASSETS is not set.", way_out)
    folder = Path(root).expanduser().resolve()
    if not folder.is_dir():
        raise DataError(f"{ASSETS_VARIABLE} is {root!r}, which is not a folder.", way_out)
    model, images = folder / ASSETS_MODEL, folder / ASSETS_IMAGES
    missing = [str(path) for path in (model, images, images / "val_map.txt") if not path.exists()]
    if missing:
        raise DataError(f"The asset folder is incomplete: missing {', '.join(missing)}.", way_out)
    inputs, outputs = ("input",), ("MobilenetV1/Predictions/Reshape",)
    check_frozen_graph(model, inputs + outputs)
    return BenchmarkModel(
        name=name,
        source="assets",
        description="Accuracy is top-1 on a sample of ImageNet images, probably training images: "
        "compare strategies with it, not with published figures.",
        path=model,
        inputs=inputs,
        outputs=outputs,
        data_folder=images,
        label_offset=1,
        classes=1001,
    )


def _digits_model(name: str, tell: Callable[[str], None]) -> BenchmarkModel:
    if name == RESNET:
        path, size = digits_resnet_path(tell=tell), ResnetRecipe().image_size
        means = (
            f"Latency is that of the full-size model ({size}x{size} images); accuracy is top-1 on "
            "scikit-learn's small handwritten digits, enlarged, and says nothing about ImageNet."
        )
    else:
        path, size = digits_model_path(tell=tell), DigitsRecipe().image_size
        means = (
            "Accuracy is top-1 on scikit-learn's small set of handwritten digits "
            f"(enlarged to {size}x{size}), not on ImageNet."
        )
    try:
        check_frozen_graph(path, (DIGITS_INPUT, DIGITS_OUTPUT))
    except ModelError as error:
        raise ModelError(
            f"The cached digits model is damaged: {error.fact}",
            f"Delete {path}; it is trained again, in minutes.",
        ) from error
    return BenchmarkModel(
        name=name,
        source="digits",
        description=means,
        path=path,
        inputs=(DIGITS_INPUT,),
        outputs=(DIGITS_OUTPUT,),
        image_size=size,
        classes=DIGITS_CLASSES,
    )
