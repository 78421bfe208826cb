"""Keras's models as frozen graphs and as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from nc_sigopt_benchmarks.models.keras_graphs import (
    INPUT,
    OUTPUT,
    frozen_graph,
    mobilenet_v1,
    resnet50_v1,
    to_onnx,
)
from nc_sigopt_strategy.backends.tensorflow import open_frozen_graph
from nc_sigopt_strategy.errors import ModelError

IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)


def scores(graph_def: Any, folder: Path) -> Any:
    path = folder / "model.pb"
    path.write_bytes(graph_def.SerializeToString())
    session = open_frozen_graph(path, [INPUT], [OUTPUT])
    try:
        return session.run(IMAGES)[0]
    finally:
        session.close()


def test_resnet50_computes_what_keras_s_does(tmp_path: Path) -> None:
    model = tf.keras.applications.ResNet50(
        input_shape=(64, 64, 3), weights=None, classes=10, classifier_activation=None
    )
    # As after training: all of batch normalization's four numbers matter.
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    expected = model.predict(IMAGES, verbose=0)
    graph_def = frozen_graph(model)
    found = scores(graph_def, tmp_path)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    assert sum(node.op == "Conv2D" for node in graph_def.node) == 53
    assert not [node.name for node in graph_def.node if "BatchNorm" in node.op]


@pytest.mark.parametrize("build", [mobilenet_v1, resnet50_v1])
def test_onnx_computes_the_same(build: Any, tmp_path: Path) -> None:
    graph_def = build(image_size=64, classes=10)
    serialized = to_onnx(graph_def, (INPUT,), (OUTPUT,))
    session = onnxruntime.InferenceSession(serialized)
    (found,) = session.run(None, {session.get_inputs()[0].name: IMAGES})
    expected = scores(graph_def, tmp_path)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_onnx_is_the_same_each_time() -> None:
    graph_def = mobilenet_v1(image_size=32, classes=10)
    first, second = (to_onnx(graph_def, (INPUT,), (OUTPUT,)) for _ in range(2))
    assert first == second


def test_weights_depend_on_the_seed_only() -> None:
    one, same, other = (
        mobilenet_v1(image_size=32, classes=10, seed=seed).SerializeToString(deterministic=True)
        for seed in (0, 0, 1)
    )
    assert one == same
    assert one != other


def test_an_unknown_layer_is_named() -> None:
    layers = tf.keras.layers
    value = layers.Input((8, 8, 3))
    model = tf.keras.Model(value, layers.UpSampling2D()(value))
    with pytest.raises(ModelError, match="UpSampling2D"):
        frozen_graph(model)
