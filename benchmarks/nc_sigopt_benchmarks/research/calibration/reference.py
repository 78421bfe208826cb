"""Stock Neural Compressor's models beside ours, configuration by configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nc_sigopt_benchmarks.research.calibration.model_difference import (
    ModelDifference,
    PlainModel,
    model_difference,
    plain_model,
)
from nc_sigopt_benchmarks.running.quantizer import Quantizer
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.temp_files import ReclaimedTempFiles
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.settings.choices import EXACT


@dataclass(frozen=True)
class ComparedConfiguration:
    """One configuration, quantized by stock Neural Compressor and from the statistics.

    Attributes:
        assignments: Parameter to label.
        difference: Of the two models.
        structure: Digest of the stock model's nodes; the same on every machine.
        ranges: Name to value of the stock model's float scalars, which calibration decides.
    """

    assignments: dict[str, str]
    difference: ModelDifference
    structure: str
    ranges: dict[str, float]


def compare_with_stock(
    quantizer: Quantizer,
    configurations: list[dict[str, str]],
    usage: CalibrationUsage,
    *,
    mode: str = EXACT,
) -> Iterator[ComparedConfiguration]:
    """Quantize each configuration in both ways.

    Args:
        quantizer: Neural Compressor on one model.
        configurations: Assignments of its space.
        usage: Counts what the statistics served; where it counts the stock path, a comparison
            says nothing.
        mode: As ``CalibratedOnce`` takes it.
    """
    ours = CalibratedOnce(quantizer.framework, usage, mode=mode)
    for assignments in configurations:
        with ReclaimedTempFiles():
            model = plain_model(quantizer.quantize(assignments))
        with ours, ReclaimedTempFiles():
            found = plain_model(quantizer.quantize(assignments))
        yield ComparedConfiguration(
            assignments,
            model_difference(model, found),
            structure_digest(model),
            float_scalars(model),
        )


def structure_digest(model: PlainModel) -> str:
    """A digest of nodes, types and shapes, without the numbers in constants."""
    constants = {n: f"{a.dtype}{a.shape}" for n, a in model.constants.items()}
    text = repr(sorted({**constants, **model.nodes}.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def float_scalars(model: PlainModel) -> dict[str, float]:
    """Name to value of the constants that are one float32."""
    return {
        name: float(array)
        for name, array in model.constants.items()
        if array.dtype == np.float32 and array.shape == ()
    }
