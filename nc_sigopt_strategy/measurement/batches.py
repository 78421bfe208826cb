"""The inputs that latency and output noise are measured on."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.measurement.data_checks import (
    EmptyBatches,
    require_batches,
    require_finite,
)

logger = logging.getLogger("nc_sigopt_strategy")

# Enough for a stable noise figure (design measurements), few enough to cost one short run.
NOISE_INPUTS = 50
_LABEL_KEYS = ("labels", "label")


@dataclass(frozen=True)
class CalibrationData:
    """What a run needs to know of its calibration data.

    Attributes:
        batches: The first batches without labels, of ``NOISE_INPUTS`` inputs or a few more.
        digest: Of every batch that calibrates; ``None`` without data.
    """

    batches: list[Any]
    digest: str | None = None


def read_calibration_data(dataloader: Any | None, sampling_size: int) -> CalibrationData:
    """Read once, before the first trial, what every trial will calibrate with.

    Args:
        dataloader: Yields ``(inputs, label)``; ``None``: there is no data.
        sampling_size: How many inputs calibrate.

    Raises:
        DataError: The loader is empty, yields no ``(inputs, label)`` pairs, nothing but empty
            batches, holds NaN or infinite values, or can be read only once.
    """
    if dataloader is None:
        return CalibrationData([])
    batches: list[Any] = []
    count = 0
    # INC counts batches, by the size that the loader names, whatever size they have.
    calibrating = math.ceil(sampling_size / (getattr(dataloader, "batch_size", None) or 1))
    digest, empty = hashlib.sha256(), EmptyBatches()
    for index, item in enumerate(dataloader):
        batch, _ = pair_of(item, index)
        for array in _arrays(batch):
            require_finite(array, index)
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        if count < NOISE_INPUTS:
            # Some loaders fill one array again and again.
            batches.append(_copied(batch))
        length = batch_length(batch)
        empty.count(length, index)
        count += length
        if count >= max(sampling_size, NOISE_INPUTS) and index + 1 >= calibrating:
            break
    require_batches(len(batches))
    if count < sampling_size:
        logger.warning(
            "The calibration data has %d inputs, fewer than the calibration_sampling_size of %d.",
            count,
            sampling_size,
        )
    if next(iter(dataloader), None) is None:
        raise DataError(
            "The calibration dataloader can be read only once: its second pass yields nothing.",
            "Make __iter__ start anew; tuning reads the data more than once.",
        )
    return CalibrationData(batches, digest.hexdigest())


def batch_length(batch: Any) -> int:
    """Number of inputs in a batch."""
    # A flag or a threshold beside the data has no axis to count along.
    return next((len(array) for array in _arrays(batch) if array.ndim), 1)


def first_inputs(batch: Any, count: int) -> Any:
    """The first ``count`` inputs of a batch, in the same form."""
    if isinstance(batch, Mapping):
        return {name: _first(value, count) for name, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [_first(value, count) for value in batch]
    return batch[:count]


def pair_of(item: Any, index: int) -> tuple[Any, Any]:
    """Inputs and label of what a dataloader yields.

    Args:
        item: A pair, or a mapping that holds the label among the inputs, as tokenizers give it.
        index: Number of the batch, for the message.

    Raises:
        DataError: It is neither.
    """
    if isinstance(item, Mapping):
        return item, next((item[key] for key in _LABEL_KEYS if key in item), None)
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        parts = f" of {len(item)}" if isinstance(item, (tuple, list)) else ""
        raise DataError(
            f"Calibration batch {index} is a {type(item).__name__}{parts}, not a pair "
            "(inputs, label).",
            "The dataloader must yield (inputs, label); the label may be None.",
        )
    return item[0], item[1]


def _copied(batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return {name: _copied(value) for name, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [_copied(value) for value in batch]
    return batch.copy() if isinstance(batch, np.ndarray) else batch


def _first(value: Any, count: int) -> Any:
    return value[:count] if np.ndim(value) else value


def _arrays(batch: Any) -> list[Any]:
    if isinstance(batch, Mapping):
        return [np.asarray(value) for value in batch.values()]
    parts = batch if isinstance(batch, (list, tuple)) else [batch]
    return [np.asarray(part) for part in parts]
