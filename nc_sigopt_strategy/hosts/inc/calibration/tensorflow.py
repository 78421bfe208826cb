"""TensorFlow: feed INC's calibration from the statistics, and quantize without moving weights.

INC calibrates in every trial (graph_converter.py; INC 2.6, 3.7.1 and 3.10): it inserts
``Print`` nodes that report each tensor's smallest and largest value per batch, runs the
calibration data, captures standard error in a file and reads the numbers back as text. For "kl" it
prints every value of every tensor. Here INC still inserts the nodes, and so decides which tensors
are asked for and under what name; what the ``Print`` nodes would have printed is written from the
statistics instead. What these lack is gathered in one pass over the data, of all tensors at once.

INC builds histograms for "kl" and then uses nothing of them but the smallest and largest value
(``FreezeValueTransformer``), which the statistics hold; no histogram is made.
"""

from __future__ import annotations

import copy
import functools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.backends.tensorflow_reads import node_of
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.hosts.inc.calibration.light_constants import LightConstants
from nc_sigopt_strategy.hosts.inc.calibration.reaches import Reach
from nc_sigopt_strategy.hosts.inc.calibration.temp_files import ReclaimedTempFiles
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_biases import bias_reach
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_graphs import (
    printed_by,
)
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_modules import (
    BF16Convert,
    GraphConverter,
    QuantizeGraphHelper,
)
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_statistics import (
    ModelStatistics,
    model_of,
    statistic,
)
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_sums import widen_signed_sums
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.hosts.statistics_store import (
    Array,
    Section,
    StatisticsStore,
    digest_of,
)

logger = logging.getLogger("nc_sigopt_strategy")

_STDERR = 2
_GRAPH_TYPES = ("graph_def", "graph", "frozen_pb")


def tensorflow_reaches(
    store: StatisticsStore,
    usage: CalibrationUsage,
    *,
    as_printed: bool = False,
    fitted: bool = False,
) -> list[Reach]:
    """What to replace so that INC's TensorFlow calibration takes its numbers from ``store``.

    Args:
        store: Where statistics are kept.
        usage: Where it is counted how often they served.
        as_printed: Round to the digits that TensorFlow's ``Print`` writes, which gives stock INC's
            model node by node; else every bit is handed over.
        fitted: Weights and biases are fitted to the data; else they are INC's.
    """
    feed = _Feed(store, usage, _as_printed if as_printed else _exactly, fitted)
    return [
        *([bias_reach()] if fitted else []),
        Reach(GraphConverter, "__init__", feed.init),
        Reach(GraphConverter, "convert", feed.convert),
        Reach(GraphConverter, "_inference", feed.inference),
        Reach(GraphConverter, "_generate_calibration_data", feed.kl_ranges),
        Reach(GraphConverter, "_freeze_requantization_ranges", feed.frozen_ranges),
        Reach(QuantizeGraphHelper, "generate_quantized_weight_node", feed.quantized_weight),
        Reach(BF16Convert, "do_transformation", feed.bf16_graph),
    ]


@dataclass(frozen=True)
class _Twin:
    """A model, and the same one without its large constants.

    Attributes:
        model: INC's FP32 model.
        session: The model's session when the twin was made; INC gives a changed graph a new one.
        light: The twin.
        digest: Of the whole graph, its inputs and its outputs.
        iterates: Whether the graph reads its data by an iterator of its own.
    """

    model: Any
    session: Any
    light: Any
    digest: str
    iterates: bool


class _Feed:
    """What runs in place of INC's functions; each gets INC's own one as its first argument."""

    def __init__(
        self,
        store: StatisticsStore,
        usage: CalibrationUsage,
        texts: Callable[[Array], list[str]],
        fits: bool,
    ) -> None:
        self._usage = usage
        self._texts = texts
        self._fits = fits
        self._constants = LightConstants()
        self._twins: dict[int, _Twin] = {}
        self._weights: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self._statistics = ModelStatistics(
            store, usage, self._constants, vars(GraphConverter)["_inference"], fits=fits
        )
        self._failure: Exception | None = None

    def init(self, real: Any, converter: Any, model: Any, *args: Any, **kwargs: Any) -> None:
        """Let the converter work on the model's twin."""
        reason = _not_covered(model, args, kwargs)
        twin = None if reason is not None else self._twin(model)
        if twin is not None and twin.iterates:
            reason = "the graph reads its data by an iterator of its own"
            twin = None
        if twin is None:
            self._usage.left_to_inc(str(reason))
            self._init_stock(real, converter, model, *args, **kwargs)
            return
        converter.nc_sigopt_twin = twin
        converter.nc_sigopt_init_stock = functools.partial(
            self._init_stock, real, model=model, **kwargs
        )
        real(converter, twin.light, **kwargs)

    def convert(self, real: Any, converter: Any) -> Any:
        """Convert the twin, then put the large constants back; by INC alone where that fails."""
        twin = converter.nc_sigopt_twin
        if twin is None:
            return real(converter)
        self._failure = None
        try:
            with ReclaimedTempFiles(), self._constants.readable():
                converted = real(converter)
            converted.graph_def = self._constants.restore(converted.graph_def)
            converted._model = twin.model._model
        except Exception as error:
            # INC catches what its steps raise and stumbles over the consequence.
            failure = self._failure or error
            if isinstance(failure, DataError):
                raise failure from None
            logger.debug("Where it failed", exc_info=failure)
            stock = object.__new__(type(converter))
            converter.nc_sigopt_init_stock(stock)
            converted = real(stock)
            self._usage.left_to_inc(f"it failed with {failure!r}")
        return converted

    def _init_stock(self, real: Any, converter: Any, *args: Any, **kwargs: Any) -> None:
        converter.nc_sigopt_twin = None
        real(converter, *args, **kwargs)

    def inference(self, real: Any, converter: Any, model: Any) -> None:
        """Write what the sampling graph would print; gather first what is not known yet."""
        twin = converter.nc_sigopt_twin
        if twin is None:
            real(converter, model)
            return
        graph_def = model.graph_def
        printed = printed_by(graph_def)
        section = self._complete(converter, graph_def, [p.tensor for p in printed])
        self._usage.fed += 1
        texts = [self._extremes(section, p.reduction, p.tensor) for p in printed]
        lines = [
            f"{p.message}[{text}]\n"
            for batch in zip(*texts, strict=True)
            for p, text in zip(printed, batch, strict=True)
        ]
        # INC has redirected standard error to the file that it reads next.
        _write_all(_STDERR, "".join(lines).encode())

    def kl_ranges(
        self, real: Any, converter: Any, path: str, output: list[str], kl: bool = False
    ) -> None:
        """Hand over the ranges of the tensors whose ops are calibrated by "kl"."""
        twin = converter.nc_sigopt_twin
        if twin is None or not kl:
            real(converter, path, output, kl)
            return
        graph_def = converter._fp32_model.graph_def
        # INC's logging pass prints only what another node reads.
        read = {node_of(name) for node in graph_def.node for name in node.input}
        ops = {name: op for name, op in converter._print_node_mapping.items() if name in read}
        section = self._complete(converter, graph_def, list(ops))
        for name, op in ops.items():
            low = min(map(float, self._extremes(section, "Min", name)))
            high = max(map(float, self._extremes(section, "Max", name)))
            key = f"{op}_eightbit_requant_range"
            if key in converter._kl_op_dict:
                _, _, known_low, known_high, _ = converter._kl_op_dict[key]
                low, high = min(low, known_low), max(high, known_high)
            converter._kl_op_dict[key] = (None, None, low, high, max(abs(low), abs(high)))

    def frozen_ranges(self, real: Any, converter: Any, additional_data: Any = None) -> None:
        """Put fitted weights and biases in, while biases are still float32.

        INC would give the tensor before an average pooling the range of the convolution behind it
        (its recipe ``scale_propagation_max_pooling``): on MobileNet_v1 that of the logits, at 9
        points of top-1 and no gain in time.
        """
        fitted = None
        if converter.nc_sigopt_twin is not None:
            fitted = self._statistics.weights(converter)
        if fitted is not None:
            # A copy: INC keeps the one dictionary for all trials.
            converter.recipes = {**converter.recipes, "scale_propagation_max_pooling": False}
            self._usage.fitted += bool(self._statistics.quantized(converter).fit(fitted))
        real(converter, additional_data)
        if fitted is not None:
            widen_signed_sums(converter._tmp_graph_def)

    def quantized_weight(
        self,
        real: Any,
        host_op_type: str,
        input_node: Any,
        per_channel: bool,
        weight_bit: float = 7.0,
        device: str = "cpu",
        enter_node: Any = None,
    ) -> tuple[Any, ...]:
        """Quantize a weight once per granularity; it is the same in every trial."""
        arguments = (host_op_type, input_node, per_channel, weight_bit, device, enter_node)
        if enter_node is not None or not self._constants.is_light(input_node):
            return tuple(real(*arguments))
        key = (
            host_op_type,
            input_node.SerializeToString(deterministic=True),
            per_channel,
            weight_bit,
            device,
        )
        if key not in self._weights:
            nodes = tuple(real(*arguments))
            self._constants.lighten(nodes[0])
            self._weights[key] = nodes
        return copy.deepcopy(self._weights[key])

    def bf16_graph(self, real: Any, rewriter: Any) -> Any:
        """Take the large bf16 constants out, too, which INC has just made of float32 ones."""
        converted = real(rewriter)
        return self._constants.lighten_graph(converted) if self._constants.read else converted

    def _twin(self, model: Any) -> _Twin:
        twin = self._twins.get(id(model))
        if twin is None or twin.session is not model.sess:
            graph_def = model.graph_def
            digest = digest_of(
                graph_def.SerializeToString(deterministic=True),
                *model.input_tensor_names,
                *model.output_tensor_names,
            )
            light = model_of(self._constants.lighten_graph(graph_def), model)
            light.workspace_path = model.workspace_path
            twin = _Twin(model, model.sess, light, digest, bool(model.iter_op))
            self._twins[id(model)] = twin
        return twin

    def _extremes(self, section: Section, reduction: str, tensor: str) -> list[str]:
        """What is printed of a tensor.

        TensorFlow's kernels widen a range that does not contain 0. INC makes the int32 bias of a
        product with the range as it was, and all outputs are off by as much; so with fitted
        weights the range contains 0 from the start.
        """
        values = section[statistic(reduction, tensor)]
        if self._fits:
            values = (np.minimum if reduction == "Min" else np.maximum)(values, np.float32(0))
        return self._texts(values)

    def _complete(self, converter: Any, graph_def: Any, tensors: list[str]) -> Section:
        try:
            return self._statistics.complete(converter, graph_def, tensors)
        except Exception as error:
            self._failure = error
            raise


def _not_covered(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Why INC has to calibrate by itself, or ``None``."""
    if args:
        return "Neural Compressor calls its graph converter in an unknown way"
    if model.model_type not in _GRAPH_TYPES:
        return f"the model is a {model.model_type}, not a graph"
    for name, what in (
        ("itex_mode", "the ITEX backend"),
        ("qdq_enabled", "TensorFlow's newer quantization ops"),
        ("performance_only", "performance_only"),
        ("fake_quant", "quantization-aware training"),
        ("calib_func", "a calibration function"),
    ):
        if kwargs.get(name):
            return f"{what} is in use"
    loader = kwargs.get("data_loader")
    if loader is None or (hasattr(loader, "__len__") and len(loader) == 0):
        return "there is no calibration data"
    return None


def _exactly(values: Array) -> list[str]:
    return [repr(float(value)) for value in values]


def _as_printed(values: Array) -> list[str]:
    # This op summarizes a tensor by the same function as Print, whatever TensorFlow's version.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        text = session.run(tf.strings.format("{}", tf.constant(values), summarize=-1))
    return str(text.decode()).strip("[]").split()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
