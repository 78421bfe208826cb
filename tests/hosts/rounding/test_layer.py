"""Weights as rows of sums, and layers in parts that fit into memory."""

from __future__ import annotations

import numpy as np
import pytest

from nc_sigopt_strategy.hosts.rounding.layer import Layer, in_parts
from nc_sigopt_strategy.hosts.rounding.moments import Moments


@pytest.mark.parametrize(
    ("shape", "groups", "axis"),
    [((6, 2, 3, 3), 3, 0), ((3, 3, 4, 5), 1, 3), ((3, 3, 8), 4, 2), ((7, 5), 1, 1)],
    ids=["ONNX in groups", "TensorFlow", "depthwise", "matrix"],
)
def test_rows_are_the_weights_of_a_sum_and_go_back(
    shape: tuple[int, ...], groups: int, axis: int
) -> None:
    layer = Layer("conv", "w", shape, groups, axis)
    weight = np.arange(np.prod(shape)).reshape(shape)
    rows = layer.rows(weight)
    assert rows.shape == (groups, shape[axis] // groups, layer.count)
    assert (rows.reshape(shape[axis], -1)[1] == np.moveaxis(weight, axis, 0)[1].reshape(-1)).all()
    assert (layer.unrows(rows) == weight).all()


def test_parts_keep_the_order_and_the_limit() -> None:
    sizes = {"a": 3, "b": 4, "c": 9, "d": 2}
    layers = {name: Layer("n", name, (2, size)) for name, size in sizes.items()}
    assert in_parts(layers, 30) == [["a", "b"], ["c"], ["d"]]
    assert in_parts({}, 30) == []


def test_moments_are_means_over_all_places_and_leave_out_what_is_not_finite() -> None:
    inputs = np.random.default_rng(0).normal(size=(1, 50, 4)).astype(np.float32)
    moments = Moments(Layer("n", "w", (3, 4)))
    moments.add_inputs(inputs[:, :20])
    moments.add_inputs(np.full((1, 3, 4), np.inf, np.float32))
    moments.add_inputs(inputs[:, 20:])
    assert moments.seen == 50
    np.testing.assert_allclose(moments.first[0], inputs[0].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(moments.second[0], inputs[0].T @ inputs[0] / 50, rtol=1e-5)
