"""ONNX Runtime: run the FP32 model over the calibration data and reduce what its tensors hold.

The arithmetic is INC's own calibrators' (adaptor/ox_utils/calibrator.py, INC 2.6 and 3.7.1), with
what they hold in memory bounded: extremes are reduced inside the model, histograms are added up
batch by batch, of as many tensors at a time as ``in_groups`` allows.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from neural_compressor.adaptor.ox_utils.calibrator import CALIBRATOR, HistogramCollector

from nc_sigopt_strategy.backends.onnx_augmented import in_groups, open_augmented, reductions
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.hosts.statistics_store import Array
from nc_sigopt_strategy.measurement.data_checks import require_batches, require_finite
from nc_sigopt_strategy.measurement.feeding import as_array

logger = logging.getLogger("nc_sigopt_strategy")

MIN_MAX = "minmax"
_REDUCTIONS: dict[str, dict[str, Any]] = {
    "ReduceMin": {"keepdims": 0},
    "ReduceMax": {"keepdims": 0},
    "Shape": {},
}


class Extremes(NamedTuple):
    """What one tensor holds over all batches.

    Attributes:
        ends: Smallest and largest value; empty if no batch gave it an element.
        ragged: Whether the batches differ in shape.
        elements: Most elements that a batch gave it.
    """

    ends: Array
    ragged: bool
    elements: int


class _Seen:
    """Adds up what the batches gave one tensor."""

    def __init__(self) -> None:
        self._low: Any = None
        self._high: Any = None
        self._shapes: set[tuple[int, ...]] = set()

    def add(self, low: Any, high: Any, shape: tuple[int, ...]) -> None:
        """The extremes of one batch, numpy scalars or arrays without dimensions."""
        low, high = np.asarray(low)[()], np.asarray(high)[()]
        self._low = low if self._low is None else np.minimum(self._low, low)
        self._high = high if self._high is None else np.maximum(self._high, high)
        self._shapes.add(shape)

    @property
    def finite(self) -> bool:
        return bool(self._shapes) and bool(np.isfinite(self._low) and np.isfinite(self._high))

    def extremes(self) -> Extremes:
        ends = np.array([self._low, self._high] if self._shapes else [])
        elements = max((math.prod(shape) for shape in self._shapes), default=0)
        return Extremes(ends, len(self._shapes) > 1, elements)


class CalibrationRuns:
    """Passes over the calibration data of one of INC's ``ONNXRTAugment`` objects.

    Args:
        augment: Has the model, the data and which batches of it calibrate.
        usage: Counts the passes.
    """

    def __init__(self, augment: Any, usage: CalibrationUsage) -> None:
        self._augment = augment
        self._usage = usage

    def extremes(self, tensors: Sequence[str]) -> dict[str, Extremes]:
        """The extremes of each tensor.

        Raises:
            DataError: A batch holds NaN or infinite values or does not fit the model, or there is
                none.
        """
        graph = self._augment.model.graph
        made = {name: i for i, node in enumerate(graph.node) for name in node.output}
        floats = _float_tensors(self._augment.model)
        reduced = sorted(floats.intersection(tensors), key=lambda name: made.get(name, -1))
        nodes = reductions(reduced, _REDUCTIONS)
        outputs = [node.output[0] for node in nodes]
        seen = {name: _Seen() for name in reduced}
        nodes.reverse()
        for values in self._batches(outputs, nodes) if reduced else ():
            for position, name in enumerate(reduced):
                low, high, shape = values[3 * position : 3 * position + 3]
                seen[name].add(low, high, tuple(shape.tolist()))
        # INC leaves infinite values out, which the model's own reduction cannot.
        rest = [name for name in tensors if name not in seen or not seen[name].finite]
        seen.update(self._seen_as_arrays(rest))
        return {name: seen[name].extremes() for name in tensors}

    def histograms(
        self, bins: int, tensors: Mapping[str, Extremes]
    ) -> dict[str, tuple[Array, Array]]:
        """Counts and edges of the histograms that INC's calibrators make with so many bins."""
        collectors = {name: _new_collector(bins, found) for name, found in tensors.items()}
        sizes = {name: found.elements for name, found in tensors.items()}
        for names in in_groups(sizes):
            for arrays in self._batches(names):
                # Each is let go of before the next batch is run.
                for name in reversed(names):
                    array = arrays.pop()
                    if array.size:
                        collectors[name].collect_data(array)
        return {name: collector.histogram[:2] for name, collector in collectors.items()}

    def _seen_as_arrays(self, tensors: list[str]) -> dict[str, _Seen]:
        calibrators = {name: CALIBRATOR[MIN_MAX]() for name in tensors}
        seen = {name: _Seen() for name in tensors}
        for arrays in self._batches(tensors) if tensors else ():
            for name in reversed(tensors):
                array = arrays.pop()
                if array.size:
                    calibrators[name].collect(array)
                    low, high = calibrators[name].calib_range
                    seen[name].add(low, high, array.shape)
        return seen

    def _batches(self, outputs: Sequence[str], nodes: Sequence[Any] = ()) -> Iterator[list[Array]]:
        """The values of ``outputs``, batch by batch, of the model with ``nodes`` added to it."""
        augment = self._augment
        logger.info("Gathering calibration statistics: %d outputs.", len(outputs))
        session = open_augmented(augment.model, outputs, nodes, augment.backend)
        inputs = [i.name for i in session.get_inputs()]
        last = max(augment.iterations) if augment.iterations else None
        done = 0
        for index, (batch, _) in enumerate(augment.dataloader):
            if last is not None and index > last:
                break
            if last is not None and index not in augment.iterations:
                continue
            feed = _feed(inputs, batch)
            for array in feed.values():
                require_finite(array, index)
            yield session.run(outputs, feed)
            done += 1
            self._usage.batch_done(done, len(augment.iterations) or done)
        require_batches(done)
        self._usage.passes += 1


def empty_histogram(bins: int, extremes: Extremes) -> tuple[Array, Array]:
    """Counts of nothing, with the edges that INC's histogram of such values has."""
    low, high = extremes.ends
    threshold = max(abs(low), abs(high))
    return np.histogram(np.array([], low.dtype), bins, range=(-threshold, threshold))


def collector_of(bins: int, extremes: Extremes, histogram: tuple[Array, Array]) -> Any:
    """INC's histogram collector as it is after it has seen a histogram."""
    collector = HistogramCollector(bins)
    low, high = extremes.ends
    collector._histogram = (*histogram, low, high, max(abs(low), abs(high)))
    return collector


def _new_collector(bins: int, extremes: Extremes) -> Any:
    if extremes.ragged:
        return HistogramCollector(bins)
    # With the range known, INC adds every batch to one and the same histogram.
    return collector_of(bins, extremes, empty_histogram(bins, extremes))


def _float_tensors(model: Any) -> set[str]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    return {
        info.name
        for info in (*inferred.value_info, *inferred.input, *inferred.output)
        if info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }


def _feed(names: list[str], batch: Any) -> dict[str, Array]:
    if isinstance(batch, dict):
        return {name: as_array(value, f"Input {name!r}") for name, value in batch.items()}
    parts = [batch] if len(names) == 1 else list(batch)
    if len(parts) != len(names):
        raise DataError(
            f"A calibration batch holds {len(parts)} inputs, but the model has {len(names)}.",
            "The dataloader must yield (inputs, label) with one array for each input.",
        )
    return {
        name: as_array(part, f"Input {name!r}") for name, part in zip(names, parts, strict=True)
    }
