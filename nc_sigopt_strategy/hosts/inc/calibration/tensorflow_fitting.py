"""TensorFlow: weights rounded as the calibration data wants it, and biases that make up for it.

INC rounds each weight to its nearest step and leaves biases alone. Here weights are rounded in
turn (``hosts.rounding``), and what is left of the mean of an output's error goes into its bias
(Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.2, with measured means): both from the inputs that FP32 layers get, so that they do not
depend on what else is quantized. Steps and ranges stay INC's.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.calibration.light_constants import LightConstants
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_moments import layers_of
from nc_sigopt_strategy.hosts.rounding.in_turn import LARGEST, RoundingInTurn
from nc_sigopt_strategy.hosts.rounding.layer import Layer
from nc_sigopt_strategy.hosts.rounding.moments import Moments
from nc_sigopt_strategy.hosts.statistics_store import Array, Fits, Section

logger = logging.getLogger("nc_sigopt_strategy")

PER_CHANNEL, PER_TENSOR = GRANULARITIES = ("per channel", "per tensor")
# The least range that INC gives a channel (``generate_quantized_weight_node``, 2.6 to 3.10).
_LEAST = np.float32(1e-4)
# INC's names of what it makes of a weight.
_INT8, _MAX = "_qint8_const", "_max"


def fitted_weight(layer: Layer, weight: Array, moments: Moments) -> Mapping[str, Array]:
    """What fits a weight to its inputs, as arrays for a ``Section``.

    Args:
        layer: Of the weight.
        weight: float32, of the layer's shape.
        moments: Of its inputs.

    Returns:
        For each granularity how many steps beside the nearest one each weight goes (int8, of the
        weight's shape), and what is added to the bias (float32, one per output channel).
    """
    rows = layer.rows(weight).astype(np.float64)
    rounding, means = _rounding(layer, moments)
    found = {}
    for granularity in GRANULARITIES:
        steps = steps_of(rows, granularity)
        moved = np.zeros(rows.shape, np.int8)
        if rounding is not None:
            moved = rounding.fitted(rows, steps)
        errors = rows - _numbers(rows, steps, moved) * steps
        shift = np.einsum("gsk,gk->gs", errors, means).reshape(-1)
        found[_steps_key(granularity, layer.weight)] = np.ascontiguousarray(layer.unrows(moved))
        found[_shift_key(granularity, layer.weight)] = shift.astype(np.float32)
    return found


def steps_of(rows: Array, granularity: str) -> Array:
    """The width of INC's steps, of a shape that broadcasts to rows of weights."""
    if granularity == PER_CHANNEL:
        largest: Array = np.maximum(np.abs(rows).max(axis=2, keepdims=True), _LEAST)
        return largest / LARGEST
    return np.full((1, 1, 1), (np.abs(rows).max() or 1.0) / LARGEST)


class FittedWeights:
    """The weights of one FP32 model, fitted: from a section to INC's constants.

    Args:
        graph_def: The model.
        section: Where what ``fitted_weight`` finds is kept.
        constants: What was taken out of the model, and will be of its int8 weights.

    Attributes:
        layers: By weight: all that can be fitted.
    """

    def __init__(self, graph_def: Any, section: Section, constants: LightConstants) -> None:
        self.layers = layers_of(graph_def)
        self._nodes = {node.name: node for node in graph_def.node if node.name in self.layers}
        self._section = section
        section.expect(dict(_forms(self.layers)))
        self._constants = constants
        self._made: dict[tuple[str, str], Any] = {}

    def missing(self) -> dict[str, Layer]:
        """Those that are not fitted yet."""
        return {name: layer for name, layer in self.layers.items() if not self.has(name)}

    def has(self, weight: str) -> bool:
        """Whether a weight is fitted."""
        keys = [key(kind, weight) for key in (_steps_key, _shift_key) for kind in GRANULARITIES]
        return not self._section.missing(keys)

    def fit(self, moments: MutableMapping[str, Moments], done: Callable[[int], None]) -> None:
        """Fit weights to the moments of their inputs, each of which is let go of.

        Args:
            moments: By weight.
            done: Called with the number of weights that are fitted, after each.
        """
        found: dict[str, Array] = {}
        for count, name in enumerate(list(moments), start=1):
            layer = self.layers[name]
            weight = self._constants.values(self._nodes[name]).reshape(layer.shape)
            found.update(fitted_weight(layer, weight, moments.pop(name)))
            done(count)
        self._section.add(found)

    def int8(self, weight: str, ranges: Array) -> Any:
        """The ``Const`` node's tensor; ``None`` where ranges are not those that it is fitted to.

        Args:
            weight: Which; it is fitted.
            ranges: Largest magnitude that int8 stands for: one for each channel, or one number.
        """
        granularity = _granularity(ranges)
        if (weight, granularity) not in self._made:
            layer, node = self.layers[weight], self._nodes[weight]
            values = self._constants.values(node)
            rows = layer.rows(values.reshape(layer.shape)).astype(np.float64)
            steps = steps_of(rows, granularity)
            wanted = np.broadcast_to(steps, (*rows.shape[:2], 1)).reshape(-1) * LARGEST
            if not np.allclose(wanted, ranges.reshape(-1), rtol=1e-5, atol=0):
                logger.debug("The steps of %s are not known; it stays as it is.", weight)
                return None
            moved = layer.rows(self._section[_steps_key(granularity, weight)])
            numbers = layer.unrows(_numbers(rows, steps, moved)).astype(np.int8)
            made = tf.make_tensor_proto(numbers.reshape(values.shape), tf.qint8, values.shape)
            self._made[weight, granularity] = self._constants.lightened(made)
        return self._made[weight, granularity]

    def shift(self, weight: str, ranges: Array) -> Array:
        """What is added to the bias; see ``int8``."""
        return self._section[_shift_key(_granularity(ranges), weight)]


def _forms(layers: Mapping[str, Layer]) -> Iterator[tuple[str, Fits]]:
    """What ``fitted_weight`` can have written, for a file that somebody else may have."""
    for weight, layer in layers.items():
        channels = layer.shape[layer.axis]
        for granularity in GRANULARITIES:
            yield _steps_key(granularity, weight), layer.are_steps
            yield _shift_key(granularity, weight), functools.partial(_are_shifts, channels)


def _are_shifts(channels: int, array: Array) -> bool:
    as_written = array.dtype == np.float32 and array.shape == (channels,)
    return as_written and bool(np.isfinite(array).all())


class QuantizedGraph:
    """INC's graph with int8 weights and, still in float32, their biases.

    Args:
        graph_def: Changed in place.
        constants: What was taken out of it.
    """

    def __init__(self, graph_def: Any, constants: LightConstants) -> None:
        self._graph_def = graph_def
        self._constants = constants
        self._nodes: dict[str, Any] = {node.name: node for node in graph_def.node}
        self._readers = Counter(name for node in graph_def.node for name in node.input)

    def weights(self) -> dict[str, Any]:
        """Name of each FP32 weight that became int8 to the one op that reads it."""
        return {
            node.input[1].removesuffix(_INT8): node
            for node in self._graph_def.node
            if "Quantized" in node.op
            and len(node.input) > 1
            and node.input[1].endswith(_INT8)
            and self._readers[node.input[1]] == 1
        }

    def fit(self, fitted: FittedWeights) -> int:
        """Put fitted weights and biases in; how many ops got them."""
        wanted = {name: node for name, node in self.weights().items() if name in fitted.layers}
        return sum(self._fit(name, node, fitted) for name, node in wanted.items())

    def _fit(self, weight: str, node: Any, fitted: FittedWeights) -> bool:
        largest = self._nodes.get(f"{weight}{_MAX}")
        if largest is None or largest.op != "Const" or not fitted.has(weight):
            return False
        ranges = self._constants.values(largest)
        tensor = fitted.int8(weight, ranges)
        if tensor is None:
            return False
        self._nodes[node.input[1]].attr["value"].tensor.CopyFrom(tensor)
        self._correct_bias(node, fitted.shift(weight, ranges))
        return True

    def _correct_bias(self, node: Any, shift: Array) -> None:
        """Where the op has a bias; INC gives each convolution one."""
        if b"BiasAdd" not in node.attr["fused_ops"].list.s and "WithBias" not in node.op:
            return
        name = node.input[2]
        bias = self._nodes.get(name)
        if bias is None or bias.op != "Const":
            return
        values = self._constants.values(bias)
        if values.dtype != np.float32 or values.shape != shift.shape:
            return
        if self._readers[name] > 1:
            own = self._graph_def.node.add()
            own.CopyFrom(bias)
            own.name = f"{node.name}/nc_sigopt_bias"
            node.input[2] = own.name
            bias = own
        tensor = tf.make_tensor_proto(values + shift, tf.float32, shift.shape)
        bias.attr["value"].tensor.CopyFrom(tensor)
        self._constants.lighten(bias)


def _rounding(layer: Layer, moments: Moments) -> tuple[RoundingInTurn | None, Array]:
    """``None`` where nothing is known of the inputs; and their means."""
    if not moments.seen:
        return None, np.zeros((layer.groups, layer.count))
    try:
        return RoundingInTurn(moments.second, moments.seen), moments.first
    except np.linalg.LinAlgError as error:
        logger.debug("The rounding of %s is not fitted: %s", layer.weight, error)
        return None, moments.first


def _numbers(rows: Array, steps: Array, moved: Array) -> Array:
    nearest = np.clip(np.round(rows / steps), -LARGEST, LARGEST)
    return np.clip(nearest + moved, -LARGEST, LARGEST)


def _granularity(ranges: Array) -> str:
    return PER_CHANNEL if ranges.ndim else PER_TENSOR


def _steps_key(granularity: str, weight: str) -> str:
    return f"rounding {granularity} {weight}"


def _shift_key(granularity: str, weight: str) -> str:
    return f"shift {granularity} {weight}"
