"""A weight as the sums that it takes part in, whatever framework it is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Products of inputs are added up over so many places of a layer at most, and a few times as many
# as a sum has weights.
_PLACES, _PLACES_PER_WEIGHT = 8192, 4
# A layer with more weights in a sum is left out: its second moments would take too much memory.
_LONGEST_SUM = 8192


@dataclass(frozen=True)
class Layer:
    """A weight in the one op that reads it, seen as rows of sums.

    Attributes:
        node: The op's name.
        weight: The weight's name.
        shape: Of the weight.
        groups: In how many parts inputs and outputs fall that have nothing to do with each other.
        axis: Of the output channels.
    """

    node: str
    weight: str
    shape: tuple[int, ...]
    groups: int = 1
    axis: int = 0

    @property
    def count(self) -> int:
        """Weights of a sum."""
        return int(np.prod(self.shape)) // self.shape[self.axis]

    @property
    def can_be_fitted(self) -> bool:
        """Whether there is a choice, and memory for the second moments."""
        return 1 < self.count <= _LONGEST_SUM

    @property
    def places(self) -> int:
        """At how many places its inputs are looked at, over all calibration data."""
        return max(_PLACES, _PLACES_PER_WEIGHT * self.count)

    @property
    def moments_size(self) -> int:
        """Elements of its second moments."""
        return self.groups * self.count**2

    def are_steps(self, array: Array) -> bool:
        """Whether an array can say how many steps each weight is moved."""
        return array.dtype == np.int8 and array.shape == tuple(self.shape)

    def rows(self, weight: Array) -> Array:
        """A weight, or what belongs to its elements, as (groups, sums, weights of a sum)."""
        turned = np.moveaxis(weight, self.axis, 0)
        return turned.reshape(self.groups, self.shape[self.axis] // self.groups, self.count)

    def unrows(self, rows: Array) -> Array:
        """The inverse of ``rows``."""
        rest = [size for i, size in enumerate(self.shape) if i != self.axis]
        return np.moveaxis(rows.reshape(self.shape[self.axis], *rest), 0, self.axis)


def in_parts(layers: Mapping[str, Layer], limit: int) -> list[list[str]]:
    """Names of layers in parts whose second moments have ``limit`` elements at most.

    A layer that has more by itself is a part of its own.
    """
    parts: list[list[str]] = []
    taken = 0
    for name, layer in layers.items():
        if not parts or taken + layer.moments_size > limit:
            parts.append([])
            taken = 0
        parts[-1].append(name)
        taken += layer.moments_size
    return parts
