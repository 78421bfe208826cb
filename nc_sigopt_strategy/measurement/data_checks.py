"""The checks that calibration data have to pass, whoever reads them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nc_sigopt_strategy.errors import DataError


def require_finite(values: Any, batch: int) -> None:
    """Refuse NaN and infinite values, which would spread into every range.

    Raises:
        DataError: There are some; the message names the batch, counted from 0.
    """
    array = np.asarray(values)
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        raise DataError(
            f"Calibration batch {batch} holds NaN or infinite values.",
            "Check the preprocessing of the calibration data.",
        )


def require_batches(count: int) -> None:
    """Refuse data of which no batch came.

    Raises:
        DataError: ``count``, the number of batches read, is 0.
    """
    if not count:
        raise DataError(
            "The calibration data is empty: the dataloader yielded no batch.",
            "Give a dataloader that yields (inputs, label) and can be read several times.",
        )
