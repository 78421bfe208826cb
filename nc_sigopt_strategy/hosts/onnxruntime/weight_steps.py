"""Weights on the steps of ONNX Runtime's symmetric int8."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_sigopt_strategy.hosts.rounding.in_turn import LARGEST

Array = NDArray[Any]


def steps_of(weights: Array, axis: int | None) -> Array:
    """The width of a step for each channel, or for all; float32, of a shape that broadcasts.

    Args:
        weights: float32.
        axis: Of the channels; ``None``: one step for all.
    """
    others = tuple(i for i in range(weights.ndim) if axis is None or i != axis)
    largest = np.abs(weights).max(axis=others, keepdims=True)
    return np.where(largest > 0, largest / np.float32(LARGEST), np.float32(1)).astype(np.float32)


def on_steps(weights: Array, axis: int | None, moved: Array) -> Array:
    """Weights that a quantizer rounds to the steps that are wanted.

    Args:
        weights: float32; the largest of each channel stays as it is, so that the steps do.
        axis: See ``steps_of``.
        moved: How many steps beside the nearest one each weight goes; int8, of the same shape.
    """
    steps = steps_of(weights, axis)
    numbers = np.clip(np.round(weights / steps) + moved, -LARGEST, LARGEST)
    return np.where(is_largest(weights, axis), weights, numbers.astype(np.float32) * steps)


def is_largest(weights: Array, axis: int | None) -> Array:
    """Which weights are the largest of their channel in magnitude."""
    others = tuple(i for i in range(weights.ndim) if axis is None or i != axis)
    magnitude = np.abs(weights)
    found: Array = magnitude == magnitude.max(axis=others, keepdims=True)
    return found


def packed(moved: Array) -> str:
    """Steps as text: bytes of int8, compressed, in base64."""
    return base64.b64encode(zlib.compress(np.asarray(moved, np.int8).tobytes(), 9)).decode()
