"""Weights that are rounded as calibration data wants it: gathered, fitted and kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from nc_sigopt_strategy.backends.onnx_augmented import open_augmented
from nc_sigopt_strategy.hosts.onnxruntime.calibration import Calibration
from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.hosts.onnxruntime.grouping import Group
from nc_sigopt_strategy.hosts.onnxruntime.weight_inputs import inputs_of, layer_of
from nc_sigopt_strategy.hosts.onnxruntime.weight_steps import is_largest, on_steps, steps_of
from nc_sigopt_strategy.hosts.rounding.in_turn import RoundingInTurn
from nc_sigopt_strategy.hosts.rounding.layer import Layer, in_parts
from nc_sigopt_strategy.hosts.rounding.moments import MOMENTS_AT_ONCE, Moments
from nc_sigopt_strategy.measurement.batches import batch_length

logger = logging.getLogger("nc_sigopt_strategy")

Array = NDArray[Any]


def layers_of(view: GraphView, groups: Iterable[Group]) -> dict[str, Layer]:
    """Weight to its layer, for all that can be fitted: each is read by one node."""
    found = {}
    for group in groups:
        for main in group.mains:
            for weight in dict.fromkeys(view.nodes[main].input):
                if weight not in group.weights or weight in group.per_tensor_only:
                    continue
                layer = layer_of(view, main, weight)
                if layer is not None and view.readers[weight] == [main]:
                    found[weight] = layer
    return found


def fitted_weights(
    view: GraphView, layers: Mapping[str, Layer], calibration: Calibration, size: int
) -> dict[str, Array]:
    """Weight to how many steps beside the nearest one each of its elements goes.

    Args:
        view: The prepared model.
        layers: What is fitted.
        calibration: Has the data, and keeps what was found.
        size: How many inputs are looked at.

    Raises:
        DataError: The calibration data cannot be used.
    """
    section = calibration.kept(size)
    section.expect({_key(weight): layer.are_steps for weight, layer in layers.items()})
    missing = set(section.missing(map(_key, layers)))
    wanted = {weight: layer for weight, layer in layers.items() if _key(weight) in missing}
    begun = time.monotonic()
    for part in in_parts(wanted, MOMENTS_AT_ONCE):
        chosen = {weight: wanted[weight] for weight in part}
        logger.info("Fitting the rounding of %d weights to the calibration data.", len(chosen))
        moments = _gathered(view, chosen, calibration, size)
        found = {}
        for done, (weight, layer) in enumerate(chosen.items(), start=1):
            calibration.doing(f"rounding weights, {done} of {len(chosen)}")
            found[_key(weight)] = _moved(view, layer, moments.pop(weight))
        section.add(found)
        calibration.usage.passes += 1
    calibration.usage.seconds += time.monotonic() - begun
    return {weight: section[_key(weight)] for weight in layers}


def as_initializers(
    view: GraphView, layers: Mapping[str, Layer], moved: Mapping[str, Array]
) -> dict[str, Any]:
    """Weights that a quantizer rounds as fitted; those that would not change are left out."""
    found = {}
    for weight, steps in moved.items():
        if steps.any():
            values = onnx.numpy_helper.to_array(view.constants[weight])
            values = on_steps(values, layers[weight].axis, steps)
            found[weight] = onnx.numpy_helper.from_array(values, weight)
    return found


def _gathered(
    view: GraphView, layers: Mapping[str, Layer], calibration: Calibration, size: int
) -> dict[str, Moments]:
    moments = {weight: Moments(layer) for weight, layer in layers.items()}
    rngs = {weight: np.random.default_rng(0) for weight in layers}
    read = {weight: view.nodes[layer.node].input[0] for weight, layer in layers.items()}
    sessions = [
        (tensors, open_augmented(view.model, tensors))
        for tensors in calibration.at_once(dict.fromkeys(read.values()))
    ]
    for done, batch in enumerate(calibration.feeds(size), start=1):
        share = batch_length(batch) / size
        for tensors, session in sessions:
            arrays = dict(zip(tensors, session.run(tensors, dict(batch)), strict=True))
            for weight, tensor in read.items():
                if tensor not in arrays:
                    continue
                layer = layers[weight]
                limit = max(int(layer.places * share), 1)
                inputs = inputs_of(view, layer, arrays[tensor], limit, rngs[weight])
                if inputs is not None:
                    moments[weight].add_inputs(inputs)
        calibration.doing(f"looking at what weights are multiplied with, batch {done}")
    return moments


def _moved(view: GraphView, layer: Layer, moments: Moments) -> Array:
    weight = onnx.numpy_helper.to_array(view.constants[layer.weight])
    unchanged = np.zeros(weight.shape, np.int8)
    if not moments.seen:
        return unchanged
    steps = np.broadcast_to(steps_of(weight, layer.axis), weight.shape)
    try:
        rows = RoundingInTurn(moments.second, moments.seen).fitted(
            layer.rows(weight).astype(np.float64),
            layer.rows(steps).astype(np.float64),
            layer.rows(is_largest(weight, layer.axis)),
        )
    except np.linalg.LinAlgError as error:
        logger.debug("The rounding of %s is not fitted: %s", layer.weight, error)
        return unchanged
    return np.ascontiguousarray(layer.unrows(rows))


def _key(weight: str) -> str:
    return f"rounding {weight}"
