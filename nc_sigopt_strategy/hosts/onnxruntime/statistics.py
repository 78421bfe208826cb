"""What calibration data does to a model's tensors: extremes and histograms, in one pass.

Extremes are reduced inside of the model, which costs next to nothing beside running it. For
histograms the values themselves come out; as many tensors at a time as ``in_groups``
allows, in a session for each such group, so that the data are still read once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.backends.onnx_augmented import in_groups, open_augmented, reductions
from nc_sigopt_strategy.hosts.onnxruntime.range_methods import TensorStatistics
from nc_sigopt_strategy.measurement.data_checks import require_batches, require_finite

logger = logging.getLogger("nc_sigopt_strategy")

Feeds = Iterable[Mapping[str, Array]]
Counted = Callable[[int], None]
# Over both signs and up to twice the largest value: a fourth of them is used at least.
_BINS = 2**14
_REDUCTIONS: dict[str, dict[str, Any]] = {
    "ReduceMin": {"keepdims": 0},
    "ReduceMax": {"keepdims": 0},
}


class Seen:
    """Adds up what batches give one tensor; what is not finite is left out.

    The histogram's range doubles when a value falls outside, and neighbouring bins become one: so
    it is the same as if the range had been known from the start.
    """

    def __init__(self) -> None:
        self.low = np.inf
        self.high = -np.inf
        self._reach = 0.0
        self._counts = np.zeros(_BINS, np.int64)

    def add_extremes(self, low: float, high: float) -> None:
        """The extremes of one batch."""
        self.low, self.high = min(self.low, low), max(self.high, high)

    def add(self, values: Array) -> None:
        """All values of one batch."""
        flat = np.asarray(values, np.float32).reshape(-1)
        if not np.isfinite(flat).all():
            flat = flat[np.isfinite(flat)]
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        self.add_extremes(low, high)
        largest = max(abs(low), abs(high))
        if not largest:
            self._counts[_BINS // 2] += flat.size
            return
        self._widen(largest)
        place = flat.astype(np.float64)
        place *= _BINS / (2 * self._reach)
        place += _BINS / 2
        bins = np.minimum(place.astype(np.int64), _BINS - 1)
        self._counts += np.bincount(bins, minlength=_BINS)

    def statistics(self, with_histogram: bool = True) -> TensorStatistics | None:
        """What was seen; ``None`` if no batch held a finite value."""
        if self.low > self.high:
            return None
        filled = np.flatnonzero(self._counts)
        if not with_histogram or not len(filled) or not self._reach:
            empty = np.zeros(0)
            return TensorStatistics(self.low, self.high, empty, empty)
        first, last = int(filled[0]), int(filled[-1]) + 1
        width = 2 * self._reach / _BINS
        edges = (np.arange(first, last + 1) - _BINS // 2) * width
        return TensorStatistics(
            self.low, self.high, self._counts[first:last].astype(np.float64), edges
        )

    def _widen(self, largest: float) -> None:
        if not self._reach:
            # A power of two: values that are the edges of bins stay so.
            self._reach = float(2.0 ** np.ceil(np.log2(largest)))
        while self._reach < largest:
            pairs = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts = np.zeros(_BINS, np.int64)
            self._counts[_BINS // 4 : _BINS - _BINS // 4] = pairs
            self._reach *= 2


def gather(
    model: Any,
    tensors: Mapping[str, int],
    feeds: Feeds,
    *,
    histograms: bool,
    counted: Counted = lambda done: None,
) -> dict[str, TensorStatistics]:
    """Run a model over the calibration data.

    Args:
        model: A ``ModelProto``.
        tensors: Name of each float tensor to about how many elements a batch gives it.
        feeds: Batches, by input name.
        histograms: Whether histograms are wanted besides the extremes.
        counted: Called with the number of batches done, after each.

    Returns:
        Tensor to its statistics; those that never held a finite value are left out.

    Raises:
        DataError: A batch holds NaN or infinite values, or there is none.
    """
    fed = {given.name for given in model.graph.input}
    seen = {name: Seen() for name in tensors}
    inside = {name: size for name, size in tensors.items() if name not in fed}
    reductions = None if histograms else _Reductions(model, list(inside))
    values: _Values | None = None
    done = 0
    for batch in feeds:
        for array in batch.values():
            require_finite(array, done)
        for name in fed.intersection(tensors):
            seen[name].add(batch[name])
        rest: Sequence[str] = list(inside) if reductions is None else reductions.add(batch, seen)
        if rest:
            # Also for what is infinite or empty somewhere, which a reduction cannot leave out.
            values = values or _Values(model, inside)
            values.add(batch, rest, seen)
        done += 1
        counted(done)
    require_batches(done)
    found = {name: known.statistics(histograms) for name, known in seen.items()}
    return {name: known for name, known in found.items() if known is not None}


class _Reductions:
    """Sessions of a model that gives the extremes of its tensors."""

    def __init__(self, model: Any, tensors: Sequence[str]) -> None:
        self._tensors = list(tensors)
        nodes = reductions(self._tensors, _REDUCTIONS)
        self._outputs = [node.output[0] for node in nodes]
        self._session: Any = open_augmented(model, self._outputs, nodes[::-1]) if nodes else None

    def add(self, batch: Mapping[str, Array], seen: Mapping[str, Seen]) -> list[str]:
        """Take up the extremes of one batch; the tensors for which that failed."""
        if self._session is None:
            return list(self._tensors)
        try:
            found = self._session.run(self._outputs, dict(batch))
        except Exception as error:  # an empty tensor has no smallest value
            logger.debug("Extremes cannot be reduced inside of the model: %s", error)
            self._session = None
            return list(self._tensors)
        rest = []
        for position, name in enumerate(self._tensors):
            low, high = (float(value) for value in found[2 * position : 2 * position + 2])
            if np.isfinite(low) and np.isfinite(high):
                seen[name].add_extremes(low, high)
            else:
                rest.append(name)
        return rest


class _Values:
    """Sessions of a model that gives its tensors themselves."""

    def __init__(self, model: Any, tensors: Mapping[str, int]) -> None:
        self._groups = [(names, open_augmented(model, names)) for names in in_groups(tensors)]

    def add(
        self, batch: Mapping[str, Array], wanted: Sequence[str], seen: Mapping[str, Seen]
    ) -> None:
        chosen = frozenset(wanted)
        for names, session in self._groups:
            if chosen.isdisjoint(names):
                continue
            arrays = session.run(names, dict(batch))
            for name in reversed(names):
                # Each is let go of before the next batch is run.
                array = arrays.pop()
                if name in chosen:
                    seen[name].add(array)
