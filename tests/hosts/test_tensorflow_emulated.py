"""The pass that sees by how much the means of an int8 model are off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_emulated import (
    EmulatedPass,
    rounded_tensors,
)
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_moments import layers_of

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(4, 6, 6, 3)).astype(np.float32) + 0.3
KERNELS = {
    "first": RNG.normal(size=(3, 3, 3, 8)).astype(np.float32),
    "depthwise": RNG.normal(size=(3, 3, 8, 1)).astype(np.float32),
    "last": RNG.normal(size=(8, 5)).astype(np.float32),
}
BIAS = np.linspace(-1, 1, 8).astype(np.float32)
READ = ("input:0", "relu:0", "pooled:0")


def network(bias: Any = BIAS, kernels: Any = KERNELS, grids: Any = None) -> Any:
    """Two convolutions, a pooling and a product; with ``grids`` as the int8 model computes."""

    def read(name: str, x: Any) -> Any:
        if grids is None:
            return x
        low, high = grids[f"{name}:0"]
        step = high / 255 if low >= 0 else max(-low, high) / 127
        return tf.round(x / step) * step

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 6, 6, 3), name="input")
        kernel = {name: tf.constant(value, name=f"{name}_w") for name, value in kernels.items()}
        y = tf.nn.conv2d(read("input", x), kernel["first"], 1, "SAME", name="first")
        y = tf.nn.relu(tf.nn.bias_add(y, bias), name="relu")
        y = tf.nn.depthwise_conv2d(read("relu", y), kernel["depthwise"], [1] * 4, "SAME")
        y = tf.reduce_mean(y, (1, 2), name="pooled")
        tf.matmul(read("pooled", y), kernel["last"], name="output")
        return graph.as_graph_def()


def run(graph_def: Any, fetches: list[str], images: Any = IMAGES) -> list[Any]:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        return list(session.run(fetches, {"input:0": images}))


def ranges_of(graph_def: Any) -> dict[str, tuple[float, float]]:
    names = sorted(rounded_tensors(graph_def, layers_of(graph_def)))
    assert names == sorted(READ)
    values = dict(zip(names, run(graph_def, names), strict=True))
    return {name: (min(0.0, float(v.min())), float(v.max())) for name, v in values.items()}


def emulated(weights: Any, ranges: Any, batches: int = 1, graph_def: Any = None) -> EmulatedPass:
    graph_def = network() if graph_def is None else graph_def
    named = {f"{name}_w": value for name, value in weights.items()}
    made = EmulatedPass(graph_def, layers_of(graph_def), named, ranges)
    for images in np.array_split(IMAGES, batches):
        made.take(run(made.graph_def, made.fetches, images))
    assert made.batches == batches
    return made


def test_what_is_exact_needs_no_shift() -> None:
    for shift in emulated(KERNELS, {}).shifts().values():
        np.testing.assert_allclose(shift, 0, atol=1e-5)


def test_a_layer_is_corrected_for_its_own_weight() -> None:
    weights = {**KERNELS, "last": KERNELS["last"] + 0.1}
    shifts = emulated(weights, {}).shifts()
    (pooled,) = run(network(), ["pooled:0"])
    expected = -0.1 * pooled.sum(axis=1).mean()
    np.testing.assert_allclose(shifts["last_w"], np.full(5, expected), rtol=1e-4)
    np.testing.assert_allclose(shifts["first_w"], 0, atol=1e-5)


def test_what_a_layer_before_is_corrected_for_is_not_corrected_again() -> None:
    # The first one's outputs are off by their mean and nothing else.
    images = np.broadcast_to(IMAGES[:1, :1, :1], (4, 6, 6, 3))
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 6, 6, 3), name="input")
        y = tf.nn.conv2d(x, tf.constant(KERNELS["first"][:1, :1], name="first_w"), 1, "SAME")
        tf.nn.conv2d(
            y, tf.constant(RNG.normal(size=(1, 1, 8, 4)), tf.float32, name="last_w"), 1, "SAME"
        )
        graph_def = graph.as_graph_def()
    layers = layers_of(graph_def)
    (last,) = (
        tf.make_ndarray(n.attr["value"].tensor) for n in graph_def.node if n.name == "last_w"
    )
    weights = {"first_w": KERNELS["first"][:1, :1] * 1.1, "last_w": last}
    made = EmulatedPass(graph_def, layers, weights, {})
    made.take(run(made.graph_def, made.fetches, images))
    shifts = made.shifts()
    assert np.abs(shifts["first_w"]).min() > 1e-3
    np.testing.assert_allclose(shifts["last_w"], 0, atol=1e-5)


@pytest.mark.parametrize("batches", [1, 2])
def test_means_of_the_int8_model_are_those_of_fp32(batches: int) -> None:
    graph_def = network()
    ranges = ranges_of(graph_def)
    weights = {
        name: np.round(value / (np.abs(value).max() / 15)) * (np.abs(value).max() / 15)
        for name, value in KERNELS.items()
    }
    shifts = emulated(weights, ranges, batches).shifts()
    (expected,) = run(graph_def, ["first:0"])
    wrong = network(kernels=weights, grids=ranges)
    (before,) = run(wrong, ["first:0"])
    off = np.abs((before - expected).mean((0, 1, 2)))
    left = np.abs((before + shifts["first_w"] - expected).mean((0, 1, 2)))
    assert left.max() < 1e-3 < off.max()
    # Behind the ReLU: with the first bias corrected, the means of the second layer.
    shifted = network(BIAS + shifts["first_w"].astype(np.float32), weights, ranges)
    (expected,), (before,), (after,) = (
        run(made, ["depthwise:0"]) for made in (graph_def, wrong, shifted)
    )
    off = np.abs((before - expected).mean((0, 1, 2)))
    left = np.abs((after + shifts["depthwise_w"] - expected).mean((0, 1, 2)))
    assert left.max() < 0.2 * off.max()


def test_a_batch_that_overflows_leaves_the_layer_out() -> None:
    weights = {**KERNELS, "last": np.full((8, 5), np.inf, np.float32)}
    assert sorted(emulated(weights, {}).shifts()) == ["depthwise_w", "first_w"]
