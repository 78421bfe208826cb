"""TensorFlow: one pass over the calibration data, of extremes and of moments.

A ``SamplingPass`` is a graph to run and what takes up the results; who runs it feeds the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_graphs import with_reductions
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_moments import (
    Fetched,
    read_by,
    with_moments,
)
from nc_sigopt_strategy.hosts.rounding.layer import Layer
from nc_sigopt_strategy.hosts.rounding.moments import Moments
from nc_sigopt_strategy.hosts.statistics_store import Array


class SamplingPass:
    """A graph that gives statistics of its tensors, and what it gave so far.

    Args:
        graph_def: The FP32 model; it may be changed.
        tensors: Whose extremes are wanted, as ``tensors_to_gather`` returns them.
        layers: By weight, whose moments are wanted; none in a graph with loops or branches.
        batches: How many are run at most.

    Attributes:
        graph_def: What to run.
        fetches: Names of tensors to fetch for each batch.
        moments: By weight; nothing is seen of inputs of a kind that is not known.
    """

    def __init__(
        self, graph_def: Any, tensors: list[str], layers: Mapping[str, Layer], batches: int
    ) -> None:
        waits: dict[str, list[str]] = {}
        self._fetched: dict[str, Fetched] = {}
        if layers:
            read = read_by(graph_def, layers)
            graph_def, self._fetched = with_moments(graph_def, layers, batches)
            for weight, fetched in self._fetched.items():
                waits.setdefault(read[weight], []).extend(fetched[:2])
        self._reductions = with_reductions(graph_def, tensors, waits)
        self.graph_def = graph_def
        self.fetches = [
            *self._reductions.values(),
            *(name for fetched in self._fetched.values() for name in fetched),
        ]
        self.moments = {weight: Moments(layers[weight]) for weight in layers}
        self._extremes: list[Sequence[Array]] = []

    def take(self, values: Sequence[Array]) -> None:
        """Take up what one batch gave, in the order of ``fetches``."""
        count = len(self._reductions)
        self._extremes.append(values[:count])
        for position, weight in enumerate(self._fetched):
            products, sums, places = values[count + 3 * position : count + 3 * position + 3]
            self.moments[weight].add(products, sums, int(places))

    @property
    def batches(self) -> int:
        """How many were taken up."""
        return len(self._extremes)

    def extremes(self) -> dict[tuple[str, str], Array]:
        """(reduction, tensor) to its value in each batch, float32."""
        columns = zip(*self._extremes, strict=True)
        return {
            key: np.array(values, np.float32)
            for key, values in zip(self._reductions, columns, strict=True)
        }
