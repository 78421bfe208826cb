"""The checks that calibration data have to pass, whoever reads them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nc_sigopt_strategy.errors import DataError

# So many empty batches in a row say that no other comes.
_MANY = 1000


class EmptyBatches:
    """Tells when a loader has nothing to give and does not end either."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def count(self, length: int, batch: int) -> None:
        """Take note of a batch.

        Args:
            length: How many inputs it holds.
            batch: Its number, counted from 0.

        Raises:
            DataError: It is the last of many that hold none.
        """
        self._in_a_row = 0 if length else self._in_a_row + 1
        if self._in_a_row >= _MANY:
            raise DataError(
                f"The calibration data holds no inputs: {self._in_a_row} batches in a row, up to "
                f"batch {batch}, are empty.",
                "Give a dataloader whose batches hold inputs, and that ends.",
            )


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
