"""Images that calibrate, evaluate and judge: from ImageNet, Imagenette, the assets or digits."""

from __future__ import annotations

from nc_sigopt_benchmarks.datasets.expected_accuracy import known_accuracy_warning
from nc_sigopt_benchmarks.datasets.image_set import CalibrationLoader, ImageSet
from nc_sigopt_benchmarks.datasets.splits import Splits, load_splits
from nc_sigopt_benchmarks.datasets.splitting import split_disjoint

__all__ = [
    "CalibrationLoader",
    "ImageSet",
    "Splits",
    "known_accuracy_warning",
    "load_splits",
    "split_disjoint",
]
