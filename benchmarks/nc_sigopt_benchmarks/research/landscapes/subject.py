"""The model whose landscape is recorded, with its data, ready to be quantized."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.datasets import ImageSet, load_splits
from nc_sigopt_benchmarks.models.digits import cache_folder
from nc_sigopt_benchmarks.models.find import find_model
from nc_sigopt_benchmarks.research.calibration.calibration_cases import (
    CalibrationCase,
    calibration_case,
    calibration_images,
)
from nc_sigopt_benchmarks.running.quantizer import Quantizer
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.settings.choices import FINISHED, FITTED


@dataclass(frozen=True)
class Making:
    """How quantized models are made; see the settings of the same names.

    Attributes:
        calibration: ``fitted``, ``exact``, ``as_printed`` or ``stock``.
        finishing: ``on`` or ``off``.
    """

    calibration: str = FITTED
    finishing: str = FINISHED


@dataclass(frozen=True)
class Subject:
    """A model and its data.

    Attributes:
        case: The model file.
        images: What calibrates, shape (images, height, width, channels).
        evaluation: What its accuracy is measured on; ``None`` where that would mean nothing.
        batch_size: Of calibration and evaluation.
    """

    case: CalibrationCase
    images: npt.NDArray[np.float32]
    evaluation: ImageSet | None
    batch_size: int

    def quantizer(self, workspace: Path, making: Making | None = None) -> Quantizer:
        """One int8 option, bf16 and fp32 for each op.

        Args:
            workspace: Where Neural Compressor writes.
            making: Whether models are finished; ``None``: as a run's trials have them.
        """
        finishing = (making or Making()).finishing
        return self.case.quantizer(
            self.images, self.batch_size, workspace, preset="dtype", finishing=finishing
        )


def find_subject(
    config: RunConfig,
    *,
    model: str | None,
    framework: str,
    with_accuracy: bool,
    tell: Callable[[str], None],
) -> Subject:
    """The model of a run configuration, or one of ours with random weights.

    Args:
        config: Says the model, the counts of images, the batch size and the seed.
        model: ``mobilenet_v1`` or ``resnet50_v1`` at 224x224, in place of the configuration's.
        framework: Of ``model``: ``tensorflow`` or ``onnxruntime``.
        with_accuracy: Whether accuracy is wanted; models with random weights have none.
        tell: Gets lines of text while a model is trained.

    Raises:
        ConfigFileError: The configuration brings a pipeline of its own.
        ModelError: The model is missing or is not what it should be.
        DataError: Images are missing.
    """
    data = config.data
    if model is not None:
        case = calibration_case(model, framework, cache_folder())
        return Subject(case, calibration_images(data.calibration_images), None, data.batch_size)
    if data.python is not None:
        raise ConfigFileError(
            f"{config.path}: a recording needs images; data.python is {str(data.python)!r}.",
            "Leave data.python out, or name a model with --model.",
        )
    found = find_model(config.model, tell=tell)
    splits = load_splits(data, found, tell=tell)
    weights = {"assets": "imagenet"}.get(found.source, found.source)
    case = CalibrationCase(
        found.name, found.framework, weights, found.path, found.inputs, found.outputs
    )
    return Subject(
        case,
        splits.calibration.images,
        splits.evaluation if with_accuracy else None,
        data.batch_size,
    )
