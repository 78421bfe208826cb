"""TensorFlow: weights rounded as the calibration data wants it, and biases that make up for it.

INC rounds each weight to its nearest step and leaves biases alone. Here weights are rounded in
turn (``hosts.rounding``), and what is left of the mean of an output's error goes into its bias
(Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.2, with measured means): both from the inputs that FP32 layers get, so that they do not
depend on what else is quantized. Steps and ranges stay INC's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.hosts.rounding.in_turn import LARGEST, RoundingInTurn
from nc_sigopt_strategy.hosts.rounding.layer import Layer
from nc_sigopt_strategy.hosts.rounding.moments import Moments
from nc_sigopt_strategy.hosts.statistics_store import Array, Section

logger = logging.getLogger("nc_sigopt_strategy")

PER_CHANNEL, PER_TENSOR = GRANULARITIES = ("per channel", "per tensor")
# The least range that INC gives a channel (``generate_quantized_weight_node``, 2.6 to 3.10).
_LEAST = np.float32(1e-4)
# INC's names of what it makes of a weight.
_INT8, _MAX = "_qint8_const", "_max"


def is_fitted(section: Section, weight: str) -> bool:
    """Whether a section has what ``fitted_weight`` finds."""
    return _steps_key(PER_TENSOR, weight) in section


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
        return np.maximum(np.abs(rows).max(axis=2, keepdims=True), _LEAST) / LARGEST
    return np.full((1, 1, 1), (np.abs(rows).max() or 1.0) / LARGEST)


class QuantizedGraph:
    """INC's graph with int8 weights and, still in float32, their biases.

    Args:
        graph_def: Changed in place.
        read: The values of a ``Const`` node.
        written: Called with each ``Const`` node that got new values.
    """

    def __init__(
        self, graph_def: Any, read: Callable[[Any], Array], written: Callable[[Any], None]
    ) -> None:
        self._graph_def = graph_def
        self._read = read
        self._written = written
        self._nodes: MutableMapping[str, Any] = {node.name: node for node in graph_def.node}
        self._readers: dict[str, int] = {}
        for node in graph_def.node:
            for name in node.input:
                self._readers[name] = self._readers.get(name, 0) + 1

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

    def fit(self, layers: Mapping[str, Layer], floats: Mapping[str, Any], section: Section) -> int:
        """Put fitted weights and biases in; how many ops got them.

        Args:
            layers: By weight.
            floats: The FP32 model's nodes by name.
            section: Has what ``fitted_weight`` found.
        """
        fitted = 0
        for weight, node in self.weights().items():
            if weight in layers and is_fitted(section, weight):
                fitted += self._fit(node, layers[weight], self._read(floats[weight]), section)
        return fitted

    def _fit(self, node: Any, layer: Layer, weight: Array, section: Section) -> bool:
        largest = self._nodes.get(f"{layer.weight}{_MAX}")
        if largest is None or largest.op != "Const":
            return False
        ranges = self._read(largest)
        granularity = PER_CHANNEL if ranges.ndim else PER_TENSOR
        shaped = weight.reshape(layer.shape)
        rows = layer.rows(shaped).astype(np.float64)
        steps = steps_of(rows, granularity)
        wanted = np.broadcast_to(steps, (*rows.shape[:2], 1)).reshape(-1) * LARGEST
        if not np.allclose(wanted, ranges.reshape(-1), rtol=1e-5, atol=0):
            logger.debug("The steps of %s are not known; it stays as it is.", layer.weight)
            return False
        moved = section[_steps_key(granularity, layer.weight)]
        numbers = layer.unrows(_numbers(rows, steps, layer.rows(moved)))
        self._write(self._nodes[node.input[1]], numbers.astype(np.int8), weight.shape, tf.qint8)
        self._correct_bias(node, section[_shift_key(granularity, layer.weight)])
        return True

    def _correct_bias(self, node: Any, shift: Array) -> None:
        """Where the op has a bias; INC gives each convolution one."""
        if b"BiasAdd" not in node.attr["fused_ops"].list.s and "WithBias" not in node.op:
            return
        name = node.input[2]
        bias = self._nodes.get(name)
        if bias is None or bias.op != "Const":
            return
        values = self._read(bias)
        if values.dtype != np.float32 or values.shape != shift.shape:
            return
        if self._readers[name] > 1:
            own = self._graph_def.node.add()
            own.CopyFrom(bias)
            own.name = f"{node.name}/nc_sigopt_bias"
            node.input[2] = own.name
            self._nodes[own.name] = bias = own
        self._write(bias, values + shift, shift.shape, tf.float32)

    def _write(self, node: Any, values: Array, shape: tuple[int, ...], dtype: Any) -> None:
        tensor = tf.make_tensor_proto(values.reshape(shape), dtype, shape)
        node.attr["value"].tensor.CopyFrom(tensor)
        self._written(node)


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


def _steps_key(granularity: str, weight: str) -> str:
    return f"rounding {granularity} {weight}"


def _shift_key(granularity: str, weight: str) -> str:
    return f"shift {granularity} {weight}"
