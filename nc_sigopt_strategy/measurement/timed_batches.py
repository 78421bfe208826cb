"""The batches that latency is timed on: one, or several sizes under weights.

With several sizes a model's time is the weighted geometric mean of its times on each: the ratio of
two such times is then the weighted geometric mean of the ratios per size, whichever model they are
ratios to (Fleming and Wallace, "How not to lie with statistics", 1986). Ten percent at batch 1
count as much as ten percent at batch 20, though they are far fewer milliseconds.

The smallest batch comes first. oneDNN lays int8 weights out for the first batch that a TensorFlow
session runs, and after one of 20 ResNet50 took 1.37 times as long at batch 1; the other way round
it made no difference.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nc_sigopt_strategy.backends.backend import ModelSession
from nc_sigopt_strategy.measurement.batches import batch_length, first_inputs

BatchSizes = int | Mapping[int, float]


class TimedBatches:
    """Batches of the sizes that latency is wanted for.

    Args:
        batches: The first calibration batches; at least one.
        sizes: Inputs in the timed batch, or each size to its weight; ``None``: the first batch
            whole. Where a single size is more than the first batch has, that is timed whole.

    Attributes:
        weights: Size to its weight; they add up to 1.
    """

    def __init__(self, batches: Sequence[Any], sizes: BatchSizes | None = None) -> None:
        self._parts: list[tuple[Any, float]]
        if isinstance(sizes, Mapping):
            total = math.fsum(sizes.values())
            self.weights = {size: weight / total for size, weight in sorted(sizes.items())}
            self._parts = [
                (batch_of(batches[0], size), weight) for size, weight in self.weights.items()
            ]
        else:
            batch = batches[0] if sizes is None else first_inputs(batches[0], sizes)
            self.weights = {_length(batch): 1.0}
            self._parts = [(batch, 1.0)]

    @property
    def size(self) -> int | None:
        """Inputs in the timed batch; ``None`` where there are several sizes."""
        return next(iter(self.weights)) if len(self.weights) == 1 else None

    @property
    def batch(self) -> Any | None:
        """The timed batch; ``None`` where there are several sizes."""
        return self._parts[0][0] if len(self._parts) == 1 else None

    def each(self) -> dict[int, TimedBatches]:
        """Every size by itself."""
        found = {}
        for (size, _), (batch, _) in zip(self.weights.items(), self._parts, strict=True):
            found[size] = TimedBatches([batch])
        return found

    def timed(
        self, session: ModelSession, clock: Callable[[], float] = time.monotonic
    ) -> Callable[[], float]:
        """A call that runs a session once on each batch and gives its seconds.

        Args:
            session: What is timed.
            clock: Monotonic seconds.
        """
        if len(self._parts) == 1:
            batch = self._parts[0][0]
            return lambda: _seconds(session, batch, clock)
        return lambda: math.exp(
            math.fsum(
                weight * math.log(max(_seconds(session, batch, clock), 1e-9))
                for batch, weight in self._parts
            )
        )


def batch_of(batch: Any, size: int) -> Any:
    """A batch of any size, its inputs repeated where there are too few.

    Args:
        batch: As a ``Feeder`` gives it: an array, a mapping or a list of them.
        size: At least 1.
    """
    length = batch_length(batch)
    if size <= length:
        return first_inputs(batch, size)
    rows = np.arange(size) % length
    if isinstance(batch, Mapping):
        return {name: _rows(value, rows, length) for name, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [_rows(value, rows, length) for value in batch]
    return _rows(batch, rows, length)


def _length(batch: Any) -> int:
    # Whoever times a session of his own may feed it with what has no length.
    return 1 if batch is None else batch_length(batch)


def _rows(value: Any, rows: Any, length: int) -> Any:
    # A flag or a threshold beside the data has no axis to repeat along.
    array = np.asarray(value)
    return array[rows] if array.ndim and len(array) == length else value


def _seconds(session: ModelSession, batch: Any, clock: Callable[[], float]) -> float:
    started = clock()
    session.run(batch)
    return clock() - started
