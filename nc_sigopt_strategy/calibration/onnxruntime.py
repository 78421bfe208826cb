"""ONNX Runtime: answer INC's question for activation ranges from the statistics.

INC asks in every trial (adaptor/ox_utils/calibration.py, INC 2.6 and 3.7.1,
``ONNXRTAugment.get_activation_tensors_calib_range``), makes each tensor an output of the FP32
graph and runs the calibration data. Its session runs with graph optimization off, so a tensor's
values do not depend on what else is quantized.

The arithmetic is INC's own calibrators'. For "kl" and "percentile" INC holds the tensors of all
batches in memory; here their histograms are added up batch by batch, over the range that a first
pass has found, which gives the same counts.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnxruntime
from neural_compressor.adaptor.ox_utils.calibration import ONNXRTAugment
from neural_compressor.adaptor.ox_utils.calibrator import CALIBRATOR, HistogramCollector
from neural_compressor.adaptor.ox_utils.util import to_numpy

from ..errors import DataError
from .finite import require_finite
from .statistics import Array, Section, StatisticsStore, digest_of
from .usage import CalibrationUsage

logger = logging.getLogger("nc_sigopt_strategy")

_METHOD = "get_activation_tensors_calib_range"
_MIN_MAX = "minmax"
_BY_HISTOGRAM = ("kl", "percentile")
_CPU = "CPUExecutionProvider"


@contextlib.contextmanager
def feed_onnxruntime(store: StatisticsStore, usage: CalibrationUsage) -> Iterator[None]:
    """While entered, INC's ONNX Runtime calibration takes its ranges from ``store``.

    Args:
        store: Where statistics are kept.
        usage: Where it is counted how often they served.
    """
    real = vars(ONNXRTAugment).get(_METHOD)
    if real is None:
        usage.left_to_inc(f"this version of Neural Compressor has no {_METHOD}")
        yield
        return

    @functools.wraps(real)
    def ranges(augment: Any, q_config: Any = None) -> dict[str, list[list[Any]]]:
        reason = _not_covered(augment, q_config)
        if reason is not None:
            usage.left_to_inc(reason)
            return dict(real(augment, q_config))
        return _ranges(augment, q_config, store, usage)

    setattr(ONNXRTAugment, _METHOD, ranges)
    try:
        yield
    finally:
        setattr(ONNXRTAugment, _METHOD, real)


def _ranges(
    augment: Any, q_config: Mapping[str, Any], store: StatisticsStore, usage: CalibrationUsage
) -> dict[str, list[list[Any]]]:
    """Tensor name to ``[[smallest, largest]]``, as INC's own method returns it."""
    section = store.section(
        digest_of(augment.model.SerializeToString(deterministic=True)),
        f"batches {augment.iterations} of {getattr(augment.dataloader, 'batch_size', None)}",
        f"onnxruntime {onnxruntime.__version__}",
        f"neural-compressor {importlib.metadata.version('neural-compressor')}",
    )
    algorithms = _algorithms(augment.augmented_model.graph, q_config)
    _gather(augment, section, algorithms, usage)
    usage.fed += 1
    # INC lists those of min-max first.
    ordered = sorted(algorithms.items(), key=lambda item: item[1] != _MIN_MAX)
    found = {name: section[_statistic(algorithm, name)] for name, algorithm in ordered}
    return {name: [[values[0], values[1]]] for name, values in found.items() if values.size}


def _algorithms(graph: Any, q_config: Mapping[str, Any]) -> dict[str, str]:
    """Output of the augmented graph to the algorithm of the node that makes or first takes it."""
    nodes: dict[str, str] = {}
    for node in graph.node:
        for name in node.input:
            nodes.setdefault(name, node.name)
    for node in graph.node:
        nodes.update(dict.fromkeys(node.output, node.name))
    algorithms = {}
    for output in graph.output:
        config = q_config.get(nodes[output.name])
        activation = config.get("activation") if isinstance(config, Mapping) else None
        algorithms[output.name] = activation["algorithm"] if activation else _MIN_MAX
    return algorithms


def _gather(
    augment: Any,
    section: Section,
    algorithms: Mapping[str, str],
    usage: CalibrationUsage,
) -> None:
    """Make the section complete: one pass for new tensors, another for their histograms."""
    begun = time.monotonic()
    runner = _Runner(augment, usage)
    new = [name for name in algorithms if _statistic(_MIN_MAX, name) not in section]
    if new:
        section.add(runner.extremes(new))
    for algorithm in _BY_HISTOGRAM:
        new = [name for name in algorithms if _statistic(algorithm, name) not in section]
        if any(algorithms[name] == algorithm for name in new):
            # Of all tensors at once: the next trial will ask for others.
            section.add(runner.by_histogram(algorithm, new, section))
    usage.seconds += time.monotonic() - begun


class _Runner:
    """Runs the FP32 model over the calibration data, as INC's own loop does."""

    def __init__(self, augment: Any, usage: CalibrationUsage) -> None:
        self._augment = augment
        self._usage = usage

    def extremes(self, tensors: list[str]) -> dict[str, Array]:
        """Smallest and largest value, and whether the batches differ in shape."""
        calibrators = {name: CALIBRATOR[_MIN_MAX]() for name in tensors}
        shapes: dict[str, set[tuple[int, ...]]] = {name: set() for name in tensors}
        for values in self._batches(tensors):
            for name, array in values.items():
                if array.size:
                    calibrators[name].collect(array)
                    shapes[name].add(array.shape)
        found: dict[str, Array] = {}
        for name, calibrator in calibrators.items():
            seen = bool(shapes[name])
            found[_statistic(_MIN_MAX, name)] = np.array(calibrator.calib_range if seen else [])
            found[_statistic("ragged", name)] = np.array(len(shapes[name]) > 1)
        return found

    def by_histogram(
        self, algorithm: str, tensors: list[str], section: Section
    ) -> dict[str, Array]:
        """The ranges that INC's "kl" or "percentile" finds in the histogram of all batches."""
        extremes = {name: section[_statistic(_MIN_MAX, name)] for name in tensors}
        calibrators = {name: CALIBRATOR[algorithm]() for name in tensors if extremes[name].size}
        for name, calibrator in calibrators.items():
            calibrator.collector = HistogramCollector(calibrator.num_bins)
            if not section[_statistic("ragged", name)]:
                low, high = extremes[name]
                threshold = max(abs(low), abs(high))
                # Fixing the range first makes INC add every batch to one and the same histogram.
                counts, edges = np.histogram(
                    np.array([], low.dtype), calibrator.num_bins, range=(-threshold, threshold)
                )
                calibrator.collector._histogram = (counts, edges, low, high, threshold)
        for values in self._batches(list(calibrators)):
            for name, array in values.items():
                if array.size:
                    calibrators[name].collector.collect_data(array)
        found = {_statistic(algorithm, name): np.array([]) for name in tensors}
        for name, calibrator in calibrators.items():
            if algorithm == "kl":
                calibrator.compute_kl_range()
            else:
                calibrator.compute_percentile_range(calibrator.percentile)
            found[_statistic(algorithm, name)] = np.array(calibrator.calib_range)
        return found

    def _batches(self, tensors: list[str]) -> Iterator[dict[str, Array]]:
        augment = self._augment
        logger.info("Gathering the calibration statistics of %d tensors.", len(tensors))
        options = onnxruntime.SessionOptions()
        # As INC's: what is fused away has no values.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            augment.augmented_model.SerializeToString(), options, providers=[augment.backend]
        )
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
            yield dict(zip(tensors, session.run(tensors, feed), strict=True))
            done += 1
            self._usage.batch_done(done, len(augment.iterations) or done)
        if not done:
            raise DataError("The calibration data is empty: the dataloader yielded no batch.")
        self._usage.passes += 1


def _feed(names: list[str], batch: Any) -> dict[str, Array]:
    if isinstance(batch, dict):
        return {name: to_numpy(value) for name, value in batch.items()}
    parts = [batch] if len(names) == 1 else list(batch)
    if len(parts) != len(names):
        raise DataError(
            f"A calibration batch holds {len(parts)} inputs, but the model has {len(names)}.",
            "The dataloader must yield (inputs, label) with one array for each input.",
        )
    return {name: to_numpy(part) for name, part in zip(names, parts, strict=True)}


def _not_covered(augment: Any, q_config: Any) -> str | None:
    """Why INC has to calibrate by itself, or ``None``."""
    if q_config is None:
        return "the tensors themselves are asked for"
    if augment.layer_wise:
        return "layer-wise quantization is in use"
    if augment.augment_nodes or augment.already_quantized:
        return "the model is quantized already"
    if augment.model_wrapper.is_large_model:
        return "the model is larger than 2 GB"
    if augment.backend != _CPU:
        return f"the execution provider is {augment.backend}"
    if sys.version_info < (3, 11) and importlib.util.find_spec("onnxruntime_extensions"):
        return "custom ops of onnxruntime_extensions may be in use"
    return None


def _statistic(what: str, tensor: str) -> str:
    return f"{what} {tensor}"
