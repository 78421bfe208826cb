"""ONNX Runtime: answer INC's question for activation ranges from the statistics.

INC asks in every trial (adaptor/ox_utils/calibration.py, INC 2.6 and 3.7.1,
``ONNXRTAugment.get_activation_tensors_calib_range``), makes each tensor an output of the FP32
graph and runs the calibration data. Its session runs with graph optimization off, so a tensor's
values do not depend on what else is quantized.

The arithmetic is INC's own calibrators'. For "kl" and "percentile" INC holds the tensors of all
batches in memory; here their histograms are added up batch by batch, over the range that a first
pass has found, which gives the same counts. INC's "kl" has as many bins as quantized bins (128),
so it chooses among one threshold, and needs no histogram unless batches differ in shape.
"""

from __future__ import annotations

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
from neural_compressor.adaptor.ox_utils.quantizer import Quantizer
from neural_compressor.adaptor.ox_utils.util import to_numpy

from ..errors import DataError
from .finite import require_finite
from .onnx_weights import QuantizedWeights
from .reaches import Reach
from .statistics import Array, Section, StatisticsStore, digest_of
from .usage import CalibrationUsage

logger = logging.getLogger("nc_sigopt_strategy")

_MIN_MAX = "minmax"
_KL = "kl"
_CPU = "CPUExecutionProvider"


def onnxruntime_reaches(store: StatisticsStore, usage: CalibrationUsage) -> list[Reach]:
    """What to replace so that INC's ONNX Runtime calibration takes its ranges from ``store``.

    Args:
        store: Where statistics are kept.
        usage: Where it is counted how often they served.
    """

    def ranges(real: Any, augment: Any, q_config: Any = None) -> dict[str, list[list[Any]]]:
        reason = _not_covered(augment, q_config)
        if reason is None:
            # INC hands it on to the next part of a model that is split, and this one is not.
            augment._dataloder_for_next_split_model = []
            try:
                return _ranges(augment, q_config, store, usage)
            except DataError:
                raise
            except Exception as error:
                logger.debug("Where it failed", exc_info=True)
                reason = f"it failed with {error!r}"
        usage.left_to_inc(reason)
        return dict(real(augment, q_config))

    return [
        Reach(ONNXRTAugment, "get_activation_tensors_calib_range", ranges),
        *QuantizedWeights().reaches(Quantizer),
    ]


def _ranges(
    augment: Any, q_config: Mapping[str, Any], store: StatisticsStore, usage: CalibrationUsage
) -> dict[str, list[list[Any]]]:
    """Tensor name to ``[[smallest, largest]]``, as INC's own method returns it."""
    section = store.section(
        augment.dataloader,
        digest_of(augment.model.SerializeToString(deterministic=True)),
        f"batches {augment.iterations} of {getattr(augment.dataloader, 'batch_size', None)}",
        f"onnxruntime {onnxruntime.__version__}",
        f"neural-compressor {importlib.metadata.version('neural-compressor')}",
    )
    algorithms = _algorithms(augment.augmented_model.graph, q_config)
    _complete(augment, section, algorithms, usage)
    usage.fed += 1
    # INC lists those of min-max first.
    ordered = sorted(algorithms.items(), key=lambda item: item[1] != _MIN_MAX)
    found = {
        name: _range(section, name, algorithm)
        for name, algorithm in ordered
        if section[_extremes(name)].size
    }
    return {name: [list(ends)] for name, ends in found.items()}


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


def _range(section: Section, tensor: str, algorithm: str) -> tuple[Any, Any]:
    """What INC's calibrator of that name finds in the statistics."""
    low, high = section[_extremes(tensor)]
    if algorithm == _MIN_MAX:
        return low, high
    calibrator = CALIBRATOR[algorithm]()
    calibrator.collector = HistogramCollector(calibrator.num_bins)
    if _needs_no_histogram(section, tensor, calibrator):
        counts, edges = _empty_histogram(low, high, calibrator.num_bins)
        counts = counts + 1
    else:
        counts, edges = section[_counts(algorithm, tensor)], section[_edges(algorithm, tensor)]
    calibrator.collector._histogram = (counts, edges, low, high, max(abs(low), abs(high)))
    if algorithm == _KL:
        calibrator.compute_kl_range()
    else:
        calibrator.compute_percentile_range(calibrator.percentile)
    return tuple(calibrator.calib_range)


def _lacks_histogram(section: Section, tensor: str, algorithm: str) -> bool:
    return bool(
        algorithm != _MIN_MAX
        and section[_extremes(tensor)].size
        and not _needs_no_histogram(section, tensor, CALIBRATOR[algorithm]())
        and _counts(algorithm, tensor) not in section
    )


def _needs_no_histogram(section: Section, tensor: str, calibrator: Any) -> bool:
    """Whether "kl" has one threshold to choose from, whatever the counts.

    With as many bins as quantized ones, which is INC's default, there are more only where batches
    of several shapes made INC widen the histogram.
    """
    quantized_bins = getattr(calibrator, "num_quantized_bins", None)
    return quantized_bins == calibrator.num_bins and not section[_ragged(tensor)]


def _complete(
    augment: Any,
    section: Section,
    algorithms: Mapping[str, str],
    usage: CalibrationUsage,
) -> None:
    """Gather what the section lacks: one pass for the extremes, one for histograms.

    Of all tensors at once, since the next trial will ask for others.
    """
    begun = time.monotonic()
    candidates = dict.fromkeys([*algorithms, *_calibrated_tensors(augment)])
    runner = _Runner(augment, usage)
    if any(_extremes(name) not in section for name in algorithms):
        section.add(runner.extremes([n for n in candidates if _extremes(n) not in section]))
    wanted = {
        algorithm: [name for name in candidates if _lacks_histogram(section, name, algorithm)]
        for algorithm in sorted(set(algorithms.values()))
        if any(
            _lacks_histogram(section, name, algorithm)
            for name, chosen in algorithms.items()
            if chosen == algorithm
        )
    }
    if wanted:
        section.add(runner.histograms(wanted, section))
    usage.seconds += time.monotonic() - begun


def _calibrated_tensors(augment: Any) -> list[str]:
    """The tensors that INC calibrates when every op is quantized."""
    graph = augment.model.graph
    constant = {tensor.name for tensor in graph.initializer}
    known = {i.name for i in graph.input} | {name for node in graph.node for name in node.output}
    names = [
        name
        for node in graph.node
        if node.op_type in augment.dump_op_types
        for name in (*node.input, *node.output)
    ]
    return [name for name in dict.fromkeys(names) if name in known and name not in constant]


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
            found[_extremes(name)] = np.array(calibrator.calib_range if seen else [])
            found[_ragged(name)] = np.array(len(shapes[name]) > 1)
        return found

    def histograms(self, wanted: Mapping[str, list[str]], section: Section) -> dict[str, Array]:
        """Counts and edges of the histograms that INC's calibrators would make.

        Args:
            wanted: Algorithm to the tensors whose histograms it needs.
            section: Has their extremes.
        """
        collectors = {
            (algorithm, name): self._collector(CALIBRATOR[algorithm]().num_bins, name, section)
            for algorithm, names in wanted.items()
            for name in names
        }
        tensors = list(dict.fromkeys(name for _, name in collectors))
        for values in self._batches(tensors):
            for (_, name), collector in collectors.items():
                if values[name].size:
                    collector.collect_data(values[name])
        found: dict[str, Array] = {}
        for (algorithm, name), collector in collectors.items():
            counts, edges, *_ = collector.histogram
            found[_counts(algorithm, name)] = counts
            found[_edges(algorithm, name)] = edges
        return found

    def _collector(self, bins: int, tensor: str, section: Section) -> Any:
        collector = HistogramCollector(bins)
        if not section[_ragged(tensor)]:
            low, high = section[_extremes(tensor)]
            # With the range known, INC adds every batch to one and the same histogram.
            counts, edges = _empty_histogram(low, high, bins)
            collector._histogram = (counts, edges, low, high, max(abs(low), abs(high)))
        return collector

    def _batches(self, tensors: list[str]) -> Iterator[dict[str, Array]]:
        augment = self._augment
        logger.info("Gathering the calibration statistics of %d tensors.", len(tensors))
        options = onnxruntime.SessionOptions()
        # As INC's: what is fused away has no values.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            _with_outputs(augment.model, tensors), options, providers=[augment.backend]
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


def _with_outputs(model: Any, tensors: list[str]) -> bytes:
    """The model with further outputs, serialized."""
    augmented = type(model)()
    augmented.CopyFrom(model)
    there = {output.name for output in augmented.graph.output}
    for name in tensors:
        if name not in there:
            augmented.graph.output.add().name = name
    return bytes(augmented.SerializeToString())


def _empty_histogram(low: Any, high: Any, bins: int) -> tuple[Array, Array]:
    """Counts of nothing, with the edges that INC's histogram of such values has."""
    threshold = max(abs(low), abs(high))
    return np.histogram(np.array([], low.dtype), bins, range=(-threshold, threshold))


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


def _extremes(tensor: str) -> str:
    return f"extremes {tensor}"


def _ragged(tensor: str) -> str:
    return f"ragged {tensor}"


def _counts(algorithm: str, tensor: str) -> str:
    return f"{algorithm} counts {tensor}"


def _edges(algorithm: str, tensor: str) -> str:
    return f"{algorithm} edges {tensor}"
