"""ONNX Runtime: answer INC's question for activation ranges from the statistics.

INC asks in every trial (adaptor/ox_utils/calibration.py, INC 2.6 and 3.7.1,
``ONNXRTAugment.get_activation_tensors_calib_range``), makes each tensor an output of the FP32
graph and runs the calibration data. Its session runs with graph optimization off, so a tensor's
values do not depend on what else is quantized.

INC's "kl" has as many bins as quantized bins (128), so it chooses among one threshold, and needs
no histogram unless batches differ in shape.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from neural_compressor.adaptor.ox_utils.calibration import ONNXRTAugment
from neural_compressor.adaptor.ox_utils.calibrator import CALIBRATOR
from neural_compressor.adaptor.ox_utils.quantizer import Quantizer

from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.hosts.inc.calibration.onnx_runs import (
    MIN_MAX,
    CalibrationRuns,
    Extremes,
    collector_of,
    empty_histogram,
)
from nc_sigopt_strategy.hosts.inc.calibration.onnx_weights import QuantizedWeights
from nc_sigopt_strategy.hosts.inc.calibration.reaches import Reach
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.hosts.statistics_store import (
    Array,
    Fits,
    Section,
    StatisticsStore,
    digest_of,
)

logger = logging.getLogger("nc_sigopt_strategy")

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
    ordered = sorted(algorithms.items(), key=lambda item: item[1] != MIN_MAX)
    found = {
        name: _range(section, name, algorithm)
        for name, algorithm in ordered
        if _extremes(section, name).elements
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
        if not _has_range(output.type):
            continue
        # An input may be an output too, with no node between.
        config = q_config.get(nodes.get(output.name, ""))
        activation = config.get("activation") if isinstance(config, Mapping) else None
        algorithms[output.name] = activation["algorithm"] if activation else MIN_MAX
    return algorithms


def _has_range(type_proto: Any) -> bool:
    """Whether it is numbers: a classifier may also give text, or a list of maps (ZipMap)."""
    if type_proto.WhichOneof("value") not in (None, "tensor_type"):
        return False
    return bool(type_proto.tensor_type.elem_type != onnx.TensorProto.STRING)


def _range(section: Section, tensor: str, algorithm: str) -> tuple[Any, Any]:
    """What INC's calibrator of that name finds in the statistics."""
    extremes = _extremes(section, tensor)
    if algorithm == MIN_MAX:
        low, high = extremes.ends
        return low, high
    calibrator = CALIBRATOR[algorithm]()
    bins = calibrator.num_bins
    if _needs_no_histogram(extremes, calibrator):
        counts, edges = empty_histogram(bins, extremes)
        counts = counts + 1
    else:
        counts, edges = (section[key] for key in _histogram_keys(tensor, bins))
    calibrator.collector = collector_of(bins, extremes, (counts, edges))
    if algorithm == _KL:
        calibrator.compute_kl_range()
    else:
        calibrator.compute_percentile_range(calibrator.percentile)
    return tuple(calibrator.calib_range)


def _needs_no_histogram(extremes: Extremes, calibrator: Any) -> bool:
    """Whether "kl" has one threshold to choose from, whatever the counts.

    With as many bins as quantized ones, which is INC's default, there are more only where batches
    of several shapes made INC widen the histogram.
    """
    quantized_bins = getattr(calibrator, "num_quantized_bins", None)
    return quantized_bins == calibrator.num_bins and not extremes.ragged


def _complete(
    augment: Any, section: Section, algorithms: Mapping[str, str], usage: CalibrationUsage
) -> None:
    """Gather what the section lacks: the extremes first, then histograms where they are needed.

    Of all tensors at once, since the next trial will ask for others.
    """
    begun = time.monotonic()
    candidates = list(dict.fromkeys([*algorithms, *_calibrated_tensors(augment)]))
    section.expect(dict(_forms(candidates, section)))
    runs = CalibrationRuns(augment, usage)
    if section.missing(map(_extremes_key, algorithms)):
        new = [name for name in candidates if _extremes_key(name) not in section]
        arrays: dict[str, Array] = {}
        for name, extremes in runs.extremes(new).items():
            arrays[_extremes_key(name)] = extremes.ends
            arrays[f"ragged {name}"] = np.array(extremes.ragged)
            arrays[f"elements {name}"] = np.array(extremes.elements)
        section.add(arrays)
    for algorithm in sorted({*algorithms.values()} - {MIN_MAX}):
        calibrator = CALIBRATOR[algorithm]()
        bins = calibrator.num_bins
        lacking = {
            name: extremes
            for name in candidates
            if (extremes := _extremes(section, name)).elements
            and not _needs_no_histogram(extremes, calibrator)
            and section.missing(_histogram_keys(name, bins))
        }
        if any(chosen == algorithm for name, chosen in algorithms.items() if name in lacking):
            arrays = {}
            for name, histogram in runs.histograms(bins, lacking).items():
                arrays.update(zip(_histogram_keys(name, bins), histogram, strict=True))
            section.add(arrays)
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


def _forms(tensors: Iterable[str], section: Section) -> Iterator[tuple[str, Fits]]:
    """What ``_complete`` can have written, for a file that somebody else may have."""
    sizes = {getattr(kind(), "num_bins", 0) for kind in CALIBRATOR.values()} - {0}
    for name in tensors:
        yield _extremes_key(name), _are_ends
        yield f"ragged {name}", lambda array: array.shape == () and array.dtype.kind == "b"
        yield f"elements {name}", lambda array: array.shape == () and array.dtype.kind in "iu"
        for bins in sizes:
            counts, edges = _histogram_keys(name, bins)
            yield edges, _is_row
            yield counts, functools.partial(_are_counts, section, edges)


def _are_ends(array: Array) -> bool:
    return array.shape in ((0,), (2,)) and array.dtype.kind in "fiub" and _is_number(array)


def _are_counts(section: Section, edges: str, array: Array) -> bool:
    return _is_row(array) and edges in section and len(section[edges]) == len(array) + 1


def _is_row(array: Array) -> bool:
    return array.ndim == 1 and array.dtype.kind in "fiu" and _is_number(array)


def _is_number(array: Array) -> bool:
    return not np.isnan(array.astype(np.float64)).any()


def _extremes(section: Section, tensor: str) -> Extremes:
    return Extremes(
        section[_extremes_key(tensor)],
        bool(section[f"ragged {tensor}"]),
        int(section[f"elements {tensor}"]),
    )


def _extremes_key(tensor: str) -> str:
    return f"extremes {tensor}"


def _histogram_keys(tensor: str, bins: int) -> tuple[str, str]:
    return f"counts in {bins} bins {tensor}", f"edges of {bins} bins {tensor}"
