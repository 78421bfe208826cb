"""The models on which calibrating once is checked against stock Neural Compressor and timed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.config.run_config import DataConfig, ModelConfig
from nc_sigopt_benchmarks.datasets import CalibrationLoader, ImageSet, load_splits
from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.models.find import ASSETS_VARIABLE, find_model
from nc_sigopt_benchmarks.models.keras_graphs import (
    INPUT,
    OUTPUT,
    mobilenet_v1,
    resnet50_v1,
    to_onnx,
)
from nc_sigopt_benchmarks.running.quantizer import Quantizer
from nc_sigopt_strategy.files import write_whole

MODELS = ("mobilenet_v1", "resnet50_v1")
FRAMEWORKS = ("tensorflow", "onnxruntime")
_IMAGE_SIZE = 224


@dataclass(frozen=True)
class CalibrationCase:
    """One model file at its full size, 224x224.

    Attributes:
        model: ``mobilenet_v1`` or ``resnet50_v1``.
        framework: ``tensorflow`` or ``onnxruntime``.
        weights: ``imagenet`` or ``random``.
        path: A frozen graph or an ONNX file.
        inputs: Names of the input ops.
        outputs: Names of the output ops.
    """

    model: str
    framework: str
    weights: str
    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def quantizer(
        self, images: npt.NDArray[np.float32], batch_size: int, workspace: Path, **config: Any
    ) -> Quantizer:
        """Neural Compressor set up to quantize this model, calibrated by all of ``images``."""
        ends: dict[str, Any] = {"inputs": self.inputs, "outputs": self.outputs}
        labels = np.zeros(len(images), np.int64)
        return Quantizer(
            self.path,
            CalibrationLoader(ImageSet(images, labels), batch_size),
            workspace,
            sampling_size=len(images),
            **(ends if self.framework == "tensorflow" else {}),
            **config,
        )


def calibration_case(model: str, framework: str, folder: Path) -> CalibrationCase:
    """A case; its files are made in ``folder`` where they are not there yet.

    MobileNet_v1 has ImageNet weights where NC_SIGOPT_ASSETS is set, random ones elsewhere.
    ResNet50_v1's are random: what a trial costs does not depend on them.
    """
    weights, path = "random", folder / f"{model}-keras{metadata.version('keras')}.pb"
    inputs: tuple[str, ...] = (INPUT,)
    outputs: tuple[str, ...] = (OUTPUT,)
    if model == "mobilenet_v1" and os.environ.get(ASSETS_VARIABLE):
        found = find_model(ModelConfig(source="assets"))
        weights, path, inputs, outputs = "imagenet", found.path, found.inputs, found.outputs
    elif not path.exists():
        build = resnet50_v1 if model == "resnet50_v1" else mobilenet_v1
        write_whole(path, build().SerializeToString())
    if framework == "onnxruntime":
        frozen = path
        path = folder / f"{frozen.stem}-tf2onnx{metadata.version('tf2onnx')}.onnx"
        if not path.exists():
            graph_def = needed("tensorflow").compat.v1.GraphDef.FromString(frozen.read_bytes())
            write_whole(path, to_onnx(graph_def, inputs, outputs))
    return CalibrationCase(model, framework, weights, path, inputs, outputs)


def calibration_images(count: int) -> npt.NDArray[np.float32]:
    """Images of shape (count, 224, 224, 3) in [-1, 1]: ImageNet's with assets, noise without."""
    if os.environ.get(ASSETS_VARIABLE):
        wanted = DataConfig(source="assets", calibration_images=count, evaluation_images=1)
        return load_splits(wanted, find_model(ModelConfig(source="assets"))).calibration.images
    noise = np.random.default_rng(0).uniform(-1, 1, (count, _IMAGE_SIZE, _IMAGE_SIZE, 3))
    return noise.astype(np.float32)
