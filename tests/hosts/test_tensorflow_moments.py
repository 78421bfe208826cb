"""Moments that a TensorFlow graph computes of its layers' inputs are those of the sums it adds up.

With all places looked at, a layer's outputs Y are its inputs times its weights, so the moments M
that are found must give W M W^T = Y^T Y and W m = the sum of Y.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_moments import layers_of
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_pass import SamplingPass

IMAGES = np.random.default_rng(0).normal(size=(3, 9, 11, 4)).astype(np.float32) + 0.5
KERNEL = (3, 2, 4, 6)
RAW = tf.raw_ops


def weight(*shape: int) -> Any:
    values = np.random.default_rng(1).normal(size=shape)
    return tf.constant(values, tf.float32, name="weight")


def conv(**attributes: Any) -> Any:
    def made(x: Any) -> Any:
        chosen = {"strides": [1, 1, 1, 1], "padding": "SAME", **attributes}
        return RAW.Conv2D(input=x, filter=weight(*KERNEL), name="layer", **chosen)

    return made


def depthwise(multiplier: int, **attributes: Any) -> Any:
    def made(x: Any) -> Any:
        chosen = {"strides": [1, 1, 1, 1], "padding": "SAME", **attributes}
        kernel = weight(3, 3, 4, multiplier)
        return RAW.DepthwiseConv2dNative(input=x, filter=kernel, name="layer", **chosen)

    return made


def product(x: Any) -> Any:
    return tf.matmul(x[:, 2, 3], weight(4, 5), name="layer")


LAYERS = {
    "same": conv(),
    "valid": conv(padding="VALID"),
    "strides": conv(strides=[1, 2, 3, 1]),
    "dilations": conv(dilations=[1, 2, 3, 1]),
    "explicit": conv(padding="EXPLICIT", explicit_paddings=[0, 0, 2, 1, 0, 3, 0, 0]),
    "depthwise": depthwise(1, strides=[1, 2, 2, 1]),
    "multiplier": depthwise(3, padding="VALID", dilations=[1, 2, 2, 1]),
    "product": product,
}


def graph_of(layer: Any, shape: Any = (None, None, None, 4)) -> Any:
    with tf.Graph().as_default() as graph:
        layer(tf.compat.v1.placeholder(tf.float32, shape, name="input"))
        return graph.as_graph_def()


def run(graph_def: Any, fetches: list[str], images: Any) -> list[Any]:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        return list(session.run(fetches, {"input:0": images}))


def sampled(graph_def: Any, batches: int) -> Any:
    statistics = SamplingPass(graph_def, ["layer:0"], layers_of(graph_def), batches)
    for images in np.array_split(IMAGES, batches):
        statistics.take(run(statistics.graph_def, statistics.fetches, images))
    return statistics


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_moments_of_all_places(layer: Any, batches: int) -> None:
    graph_def = graph_of(layer)
    (name,) = layers = layers_of(graph_def)
    (outputs, weights) = run(graph_def, ["layer:0", "weight:0"], IMAGES)
    rows = layers[name].rows(weights.reshape(layers[name].shape))
    outputs = outputs.reshape(-1, *rows.shape[:2])
    moments = sampled(graph_def, batches).moments[name]
    assert moments.seen == len(outputs)
    products = np.einsum("pgs,pgt->gst", outputs, outputs)
    np.testing.assert_allclose(
        rows @ moments.products @ rows.transpose(0, 2, 1), products, rtol=1e-3, atol=1e-2
    )
    np.testing.assert_allclose(
        np.einsum("gsk,gk->gs", rows, moments.sums), outputs.sum(axis=0), rtol=1e-3, atol=1e-2
    )


def test_of_many_places_some_are_looked_at_all_over_the_images() -> None:
    graph_def = graph_of(conv())
    images = np.zeros((2, 120, 100, 4), np.float32)
    images[:, 60:] = 1
    images[1] *= 3
    statistics = SamplingPass(graph_def, [], layers_of(graph_def), 1)
    statistics.take(run(statistics.graph_def, statistics.fetches, images))
    moments = statistics.moments["weight"]
    assert moments.seen == layers_of(graph_def)["weight"].places < 2 * 120 * 100
    # A half of the first image is 1, a half of the second is 3.
    assert moments.first.mean() == pytest.approx(1.0, abs=0.03)
    assert moments.second.mean() == pytest.approx((1 + 9) / 4, rel=0.05)


def test_extremes_come_with_them() -> None:
    graph_def = graph_of(conv())
    (outputs,) = run(graph_def, ["layer:0"], IMAGES)
    found = sampled(graph_def, 3).extremes()
    assert found["Min", "layer:0"].min() == pytest.approx(outputs.min())
    assert found["Max", "layer:0"].max() == pytest.approx(outputs.max())
    assert found["Max", "layer:0"].shape == (3,)


def test_an_input_of_unknown_rank_is_left_out_and_nothing_is_seen() -> None:
    graph_def = graph_of(conv(), None)
    assert sampled(graph_def, 1).moments["weight"].seen == 0


def shared(x: Any) -> Any:
    kernel = weight(1, 1, 4, 4)
    first = RAW.Conv2D(input=x, filter=kernel, strides=[1, 1, 1, 1], padding="SAME")
    return RAW.Conv2D(input=first, filter=kernel, strides=[1, 1, 1, 1], padding="SAME")


def turned(x: Any) -> Any:
    return tf.matmul(x[:, 2, 3], weight(5, 4), transpose_b=True)


def channels_first(x: Any) -> Any:
    return RAW.Conv2D(
        input=tf.transpose(x, (0, 3, 1, 2)), filter=weight(*KERNEL), data_format="NCHW",
        strides=[1, 1, 1, 1], padding="SAME",
    )  # fmt: skip


def not_constant(x: Any) -> Any:
    return tf.matmul(x[:, 2, 3], tf.reshape(x, (4, -1)))


@pytest.mark.parametrize("layer", [shared, turned, channels_first, not_constant])
def test_weights_that_are_not_fitted(layer: Any) -> None:
    assert layers_of(graph_of(layer)) == {}
