"""Weights are rounded so that sums of products change least."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest

from nc_sigopt_strategy.hosts.onnxruntime.weight_steps import (
    is_largest,
    on_steps,
    packed,
    steps_of,
)
from nc_sigopt_strategy.hosts.rounding.in_turn import LARGEST, RoundingInTurn


def case(inputs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights of eight sums over 24 inputs, and inputs that go together."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(4, 24)) + 0.3 * np.eye(24)[:4]
    values = rng.normal(size=(inputs, 4)) @ mixing + 0.2 * rng.normal(size=(inputs, 24)) + 1.0
    return rng.normal(size=(8, 24)).astype(np.float32), values


def error(weights: np.ndarray, rounded: np.ndarray, inputs: np.ndarray) -> float:
    return float(np.mean((inputs @ (rounded - weights).T) ** 2))


def moved_for(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    moments = (inputs.T @ inputs / len(inputs))[None]
    return RoundingInTurn(moments, len(inputs)).fitted(
        weights[None].astype(np.float64),
        steps_of(weights, 0)[None].astype(np.float64),
        is_largest(weights, 0)[None],
    )[0]


def test_sums_change_less_than_with_the_nearest_steps_also_on_unseen_inputs() -> None:
    weights, inputs = case(2000)
    seen, unseen = inputs[:1000], inputs[1000:]
    moved = moved_for(weights, seen)
    nearest = on_steps(weights, 0, np.zeros(weights.shape, np.int8))
    better = on_steps(weights, 0, moved)
    assert error(weights, better, unseen) < 0.3 * error(weights, nearest, unseen)


def test_few_inputs_do_no_harm() -> None:
    weights, inputs = case(1005)
    moved = moved_for(weights, inputs[:5])
    nearest = on_steps(weights, 0, np.zeros(weights.shape, np.int8))
    assert error(weights, on_steps(weights, 0, moved), inputs[5:]) < 1.5 * error(
        weights, nearest, inputs[5:]
    )


@pytest.mark.parametrize("axis", [0, 1, None])
def test_a_quantizer_finds_the_steps_that_are_wanted(axis: int | None) -> None:
    weights, _ = case(1)
    moved = np.random.default_rng(3).integers(-1, 2, weights.shape).astype(np.int8)
    values = on_steps(weights, axis, moved)
    assert values.dtype == np.float32
    assert (steps_of(values, axis) == steps_of(weights, axis)).all()
    steps = steps_of(weights, axis)
    wanted = np.clip(np.round(weights / steps) + moved, -LARGEST, LARGEST)
    wanted = np.where(is_largest(weights, axis), np.round(weights / steps), wanted)
    assert (np.round(values / steps) == wanted).all()


def test_inputs_that_are_always_zero_leave_weights_at_the_nearest() -> None:
    weights, _ = case(1)
    assert not moved_for(weights, np.zeros((50, 24))).any()


def test_a_channel_of_zeros() -> None:
    weights, inputs = case(100)
    weights[2] = 0
    values = on_steps(weights, 0, moved_for(weights, inputs))
    assert np.isfinite(values).all()
    assert not values[2].any()


def test_groups_are_fitted_each_by_its_own_inputs() -> None:
    pairs = [case(500, seed) for seed in (0, 1)]
    rows = np.stack([weights for weights, _ in pairs]).astype(np.float64)
    steps = np.stack([steps_of(weights, 0) for weights, _ in pairs]).astype(np.float64)
    fixed = np.stack([is_largest(weights, 0) for weights, _ in pairs])
    moments = np.stack([inputs.T @ inputs / len(inputs) for _, inputs in pairs])
    together = RoundingInTurn(moments, 500).fitted(rows, steps, fixed)
    for number, (weights, inputs) in enumerate(pairs):
        assert (together[number] == moved_for(weights, inputs)).all()


def test_packed_steps_come_back() -> None:
    moved = np.random.default_rng(0).integers(-1, 2, (4, 6)).astype(np.int8)
    raw = zlib.decompress(base64.b64decode(packed(moved)))
    assert (np.frombuffer(raw, np.int8).reshape(4, 6) == moved).all()
