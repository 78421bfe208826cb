"""Scikit-learn's handwritten digits at the size of the model, without those that trained it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.models.benchmark_model import BenchmarkModel
from nc_sigopt_benchmarks.models.digits import (
    DigitsRecipe,
    TrainedOnDigits,
    enlarged_scan,
    split_indices,
)
from nc_sigopt_benchmarks.models.digits_resnet import ResnetRecipe


@dataclass(frozen=True)
class DigitScans:
    """Scans of digits.

    Attributes:
        scans: Of shape (count, 8, 8), 0 to 16.
        labels: 0 to 9.
        what: Names them in a message.
    """

    scans: npt.NDArray[np.float64]
    labels: tuple[int, ...]
    what: str = "the part of the digits not trained on"

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, position: int, size: int) -> tuple[Any, int]:
        """See ``LabelledImages``; one scan at a time, for few are drawn."""
        return enlarged_scan(self.scans[position], size).convert("RGB"), self.labels[position]


def unseen_digits(model: BenchmarkModel) -> DigitScans:
    """The scans that the model was not trained on, in a fixed order."""
    recipe: TrainedOnDigits = ResnetRecipe() if model.name == "resnet50_v1" else DigitsRecipe()
    bunch = needed("sklearn.datasets").load_digits()
    _, unseen = split_indices(len(bunch.target), recipe)
    return DigitScans(bunch.images[unseen], tuple(int(bunch.target[i]) for i in unseen))
