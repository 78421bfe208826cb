"""Second moments of what weights are multiplied with, added up over calibration data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_sigopt_strategy.hosts.rounding.layer import Layer

Array = NDArray[Any]
# 512 MiB of float32.
MOMENTS_AT_ONCE = 128 * 2**20


class Moments:
    """First and second moments of one layer's inputs, not centred.

    Args:
        layer: Whose.

    Attributes:
        products: Sums of products of inputs, (groups, weights of a sum, the same); float32.
        sums: Sums of inputs, (groups, weights of a sum); float64.
        seen: Over how many places.
    """

    def __init__(self, layer: Layer) -> None:
        self.products = np.zeros((layer.groups, layer.count, layer.count), np.float32)
        self.sums = np.zeros((layer.groups, layer.count))
        self.seen = 0

    def add_inputs(self, inputs: Array) -> None:
        """Take up inputs, (groups, places, weights of a sum); left out if any is not finite."""
        self.add(np.matmul(inputs.transpose(0, 2, 1), inputs), inputs.sum(axis=1), inputs.shape[1])

    def add(self, products: Array, sums: Array, seen: int) -> None:
        """Take up moments of a part of the data; left out if any is not finite."""
        if np.isfinite(products).all() and np.isfinite(sums).all():
            self.products += products
            self.sums += sums
            self.seen += seen

    @property
    def second(self) -> Array:
        """Mean products, as ``products``; float64."""
        return self.products.astype(np.float64) / self.seen

    @property
    def first(self) -> Array:
        """Mean inputs, as ``sums``."""
        return self.sums / self.seen
