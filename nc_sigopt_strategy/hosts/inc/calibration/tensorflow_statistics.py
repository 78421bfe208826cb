"""TensorFlow: the statistics of INC's FP32 model, gathered when a trial first asks for them."""

from __future__ import annotations

import importlib.metadata
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.hosts.inc.calibration.light_constants import LightConstants
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_fitting import (
    FittedWeights,
    QuantizedGraph,
)
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_graphs import (
    has_control_flow,
    tensors_to_gather,
    with_port,
    without_prints,
)
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_modules import Model
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_pass import SamplingPass
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.hosts.rounding.layer import Layer, in_parts
from nc_sigopt_strategy.hosts.rounding.moments import MOMENTS_AT_ONCE, Moments
from nc_sigopt_strategy.hosts.statistics_store import Array, Section, StatisticsStore
from nc_sigopt_strategy.measurement.data_checks import require_batches, require_finite

# Part of the key of what is fitted; another one when it is fitted in another way.
_FITTING = "fitted weights 1"

logger = logging.getLogger("nc_sigopt_strategy")


class ModelStatistics:
    """Extremes of tensors and, if wanted, fitted weights, of the models of INC's converters.

    Args:
        store: Where they are kept.
        usage: Counts the passes.
        constants: What was taken out of the models.
        run_data: INC's loop over the calibration data: gets a converter and a model to run.
        fits: Whether weights are fitted.
    """

    def __init__(
        self,
        store: StatisticsStore,
        usage: CalibrationUsage,
        constants: LightConstants,
        run_data: Callable[[Any, Any], None],
        *,
        fits: bool,
    ) -> None:
        self._store = store
        self._usage = usage
        self._constants = constants
        self._run_data = run_data
        self._fits = fits
        self._weights: dict[Section, FittedWeights] = {}

    def complete(self, converter: Any, graph_def: Any, tensors: list[str]) -> Section:
        """The graph's section with the statistics of ``tensors`` in it.

        What is missing is gathered together with all that other configurations may ask for, so
        that they need no pass of their own. Weights are fitted in the same pass.
        """
        section = self.ranges(converter, graph_def)
        extremes = [key for name in tensors for key in _both(name)]
        section.expect(dict.fromkeys(extremes, _are_extremes))
        layers = self._unfitted(converter)
        if layers:
            try:
                self._gather(converter, graph_def, section, tensors, layers)
            except DataError:
                raise
            except Exception as error:
                logger.debug("Where it failed", exc_info=error)
                logger.warning(
                    "Weights and biases stay as Neural Compressor makes them: fitting them to the "
                    "calibration data failed with %r.",
                    error,
                )
                self._fits = False
        if section.missing(extremes):
            self._gather(converter, graph_def, section, tensors, {})
        return section

    def ranges(self, converter: Any, graph_def: Any) -> Section:
        """The section of a graph's extremes."""
        # INC may fuse paddings differently from one config to the next.
        pads = sorted(node.name for node in graph_def.node if node.op == "Pad")
        return self._store.section(converter.data_loader, *_sampled(converter), *pads)

    def weights(self, converter: Any) -> FittedWeights | None:
        """The model's weights as they were fitted; ``None`` where they are INC's."""
        graph_def = converter._fp32_model.graph_def
        if not self._fits or has_control_flow(graph_def):
            return None
        # A padding changes nothing in what weights are multiplied with.
        section = self._store.section(converter.data_loader, *_sampled(converter), _FITTING)
        if section not in self._weights:
            self._weights[section] = FittedWeights(graph_def, section, self._constants)
        return self._weights[section]

    def quantized(self, converter: Any) -> QuantizedGraph:
        """What INC made of the model so far."""
        return QuantizedGraph(converter._tmp_graph_def, self._constants)

    def _unfitted(self, converter: Any) -> dict[str, Layer]:
        """All that can be fitted and are not, if one that INC has just quantized is among them."""
        fitted = self.weights(converter)
        missing = {} if fitted is None else fitted.missing()
        return missing if missing.keys() & self.quantized(converter).weights() else {}

    def _gather(
        self,
        converter: Any,
        graph_def: Any,
        section: Section,
        tensors: list[str],
        layers: Mapping[str, Layer],
    ) -> None:
        """Make the sections complete, in one pass over the calibration data if memory allows.

        INC's own loop runs the data, so that batches are fed as INC feeds them.
        """
        begun = time.monotonic()
        original = converter.nc_sigopt_twin.model
        sampling = self._constants.restore(without_prints(graph_def))
        new = [
            name
            for name in tensors_to_gather(sampling, tensors, original.output_tensor_names)
            if section.missing(_both(name))
        ]
        for part in in_parts(layers, MOMENTS_AT_ONCE) or [[]]:
            logger.info(
                "Gathering the calibration statistics of %d tensors and %d weights.",
                len(new),
                len(part),
            )
            chosen = {name: layers[name] for name in part}
            statistics = SamplingPass(sampling, new, chosen, converter.calib_iteration)
            self._run(converter, model_of(statistics.graph_def, original), statistics)
            extremes = statistics.extremes()
            section.add({statistic(*key): values for key, values in extremes.items()})
            if chosen:
                self._fit(converter, statistics.moments)
            self._usage.passes += 1
            new = []
        self._usage.seconds += time.monotonic() - begun

    def _fit(self, converter: Any, moments: dict[str, Moments]) -> None:
        fitted = self.weights(converter)
        if fitted is not None:
            count = len(moments)
            fitted.fit(
                moments, lambda done: self._usage.doing(f"rounding weights, {done} of {count}")
            )

    def _run(self, converter: Any, model: Any, statistics: SamplingPass) -> None:
        session = model.sess
        run = session.run

        def fetch_statistics(_: Any, feed: dict[Any, Any]) -> list[Any]:
            for values in feed.values():
                require_finite(values, statistics.batches)
            statistics.take(run(statistics.fetches, feed))
            self._usage.batch_done(statistics.batches, converter.calib_iteration)
            return []

        session.run = fetch_statistics
        try:
            self._run_data(converter, model)
        finally:
            session.close()
        require_batches(statistics.batches)


def model_of(graph_def: Any, like: Any) -> Any:
    """INC's model object of a graph, with another one's inputs, outputs and options."""
    kwargs = like.kwargs if "backend" in like.kwargs else {**like.kwargs, "backend": "default"}
    model = Model(graph_def, **kwargs)
    model.input_tensor_names = like.input_tensor_names
    model.output_tensor_names = like.output_tensor_names
    return model


def _sampled(converter: Any) -> tuple[str, ...]:
    """What all statistics of a converter's model depend on beside the data."""
    return (
        converter.nc_sigopt_twin.digest,
        f"{converter.calib_iteration} batches of "
        f"{getattr(converter.data_loader, 'batch_size', None)}",
        f"tensorflow {tf.version.VERSION}",
        f"neural-compressor {importlib.metadata.version('neural-compressor')}",
    )


def _both(tensor: str) -> list[str]:
    return [statistic(end, tensor) for end in ("Min", "Max")]


def _are_extremes(array: Array) -> bool:
    return array.dtype == np.float32 and array.ndim == 1 and not np.isnan(array).any()


def statistic(reduction: str, tensor: str) -> str:
    """The name of a tensor's extremes in a section: ``Min`` or ``Max``, one for each batch."""
    return f"{reduction} {with_port(tensor)}"
