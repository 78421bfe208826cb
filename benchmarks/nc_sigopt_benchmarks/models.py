"""Finding the model that a run configuration names, and checking that it is one.

These checks come before Neural Compressor sees anything, because its own words for a wrong path
do not name the path.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config import ModelConfig
from nc_sigopt_benchmarks.digits import (
    DIGITS_CLASSES,
    DIGITS_INPUT,
    DIGITS_OUTPUT,
    DigitsRecipe,
    digits_model_path,
)
from nc_sigopt_strategy.errors import DataError, MissingExtraError, ModelError

ASSETS_VARIABLE = "NC_SIGOPT_ASSETS"
ASSETS_MODEL = "mobilenet_v1_1.0_224_frozen.pb"
ASSETS_IMAGES = "imagenet_sample"
_WANTED = (
    "Give the path of a frozen TensorFlow graph (.pb), not of a SavedModel, a checkpoint or an "
    ".h5 file."
)


@dataclass(frozen=True)
class BenchmarkModel:
    """A model file that is there and can be read.

    Attributes:
        name: For tables and reports.
        source: ``assets``, ``keras``, ``digits`` or ``path``.
        description: One sentence on what the accuracy is an accuracy of.
        path: What is tuned: a frozen graph, or an ONNX model.
        inputs: Names of the input ops.
        outputs: Names of the output ops.
        data_folder: Where its images lie, for the source ``assets``.
        framework: ``tensorflow`` or ``onnxruntime``.
        format: ``frozen``, ``saved_model`` or ``onnx``: what the best model is returned as.
        preprocessing: Which one its images need; see ``preprocessing``.
        image_size: Side of its input images in pixels.
        label_offset: What is added to a class of the data to get the model's.
        classes: How many outputs it has; ``None`` where unknown.
    """

    name: str
    source: str
    description: str
    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    data_folder: Path | None = None
    framework: str = "tensorflow"
    format: str = "frozen"
    preprocessing: str = "tf"
    image_size: int = 224
    label_offset: int = 0
    classes: int | None = None


def find_model(
    config: ModelConfig, *, tell: Callable[[str], None] = lambda line: None
) -> BenchmarkModel:
    """The model of a run configuration; the digits model is trained first if need be.

    Args:
        config: The ``model`` part of a run configuration.
        tell: Gets lines of text while the digits model is trained.

    Raises:
        ModelError: The model is missing or is not a frozen graph.
        DataError: The asset folder is incomplete.
    """
    source = config.source
    if source == "auto":
        source = "assets" if os.environ.get(ASSETS_VARIABLE) else "digits"
    if source == "assets":
        return _assets_model(config.name)
    if source == "digits":
        return _digits_model(config.name, tell)
    if config.path is None:
        raise ModelError("The model's source is 'path', but no path is given.", "Set model.path.")
    check_frozen_graph(config.path, (*config.inputs, *config.outputs))
    return BenchmarkModel(
        name=config.name,
        source="path",
        description="Accuracy is what the configured eval_func returns.",
        path=config.path,
        inputs=tuple(map(op_name, config.inputs)),
        outputs=tuple(map(op_name, config.outputs)),
    )


def op_name(tensor_or_op: str) -> str:
    """The op of a tensor name: ``input:0`` and ``input`` both give ``input``."""
    return tensor_or_op.split(":", 1)[0]


def check_frozen_graph(path: Path, needed: tuple[str, ...] = ()) -> None:
    """Make sure that ``path`` holds a frozen TensorFlow graph with the ops ``needed``.

    Raises:
        ModelError: It does not; the message says what is there instead.
        MissingExtraError: TensorFlow is not installed.
    """
    graph_def = _read_graph_def(path)
    names = {node.name for node in graph_def.node}
    for name in needed:
        if op_name(name) not in names:
            ends = [node.name for node in graph_def.node if node.op == "Placeholder"]
            raise ModelError(
                f"The model {path} has no op {op_name(name)!r}.",
                f"Its placeholders are {', '.join(ends) or 'none'} and its last op is "
                f"{graph_def.node[-1].name!r}; correct model.inputs or model.outputs.",
            )


def _read_graph_def(path: Path) -> Any:
    # Before TensorFlow is imported, which takes seconds.
    if not path.exists():
        raise ModelError(f"The model {path} does not exist.", "Correct the path of the model.")
    if path.is_dir():
        raise ModelError(f"The model {path} is a folder.", _WANTED)
    try:
        from nc_sigopt_strategy.backends.tensorflow import read_graph_def
    except ImportError as error:
        raise MissingExtraError(
            f"TensorFlow cannot be imported: {error}.",
            "Install it with: pip install 'nc_sigopt_strategy[tensorflow]'",
        ) from error
    try:
        return read_graph_def(path)
    except ModelError as error:
        raise ModelError(error.fact, error.hint or _WANTED) from error


def _assets_model(name: str) -> BenchmarkModel:
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
    path = digits_model_path(tell=tell)
    try:
        check_frozen_graph(path, (DIGITS_INPUT, DIGITS_OUTPUT))
    except ModelError as error:
        raise ModelError(
            f"The cached digits model is damaged: {error.fact}",
            f"Delete {path}; it is trained again in about a minute.",
        ) from error
    return BenchmarkModel(
        name=name,
        source="digits",
        description="Accuracy is top-1 on scikit-learn's small set of handwritten digits "
        "(enlarged to 32x32), not on ImageNet.",
        path=path,
        inputs=(DIGITS_INPUT,),
        outputs=(DIGITS_OUTPUT,),
        image_size=DigitsRecipe().image_size,
        classes=DIGITS_CLASSES,
    )
