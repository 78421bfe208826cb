"""The same strategy on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.outcome import read_trials

from ..conftest import CLASSES, Loader
from .fitting import configure, fit, outcome

pytestmark = pytest.mark.integration

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def onnx_model(tmp_path: Path) -> Path:
    """Two convolutions and a mean, opset 13."""
    rng = np.random.default_rng(2)
    helper, numpy_helper = onnx.helper, onnx.numpy_helper

    def weights(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["input", "w0", "b0"], ["c0"], "conv0", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c0"], ["r0"], "relu0"),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("GlobalAveragePool", ["r1"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["logits"], "flatten"),
    ]
    shape = ["batch", 3, 12, 12]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", CLASSES])],
        [weights("w0", 8, 3, 3, 3), weights("b0", 8), weights("w1", CLASSES, 8, 3, 3),
         weights("b1", CLASSES)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = tmp_path / "small.onnx"
    onnx.save(model, str(path))
    return path


def test_tunes_an_onnx_model(tmp_path: Path, onnx_model: Path, small_data: Any) -> None:
    images = np.ascontiguousarray(small_data[0].transpose(0, 3, 1, 2))
    session = onnxruntime.InferenceSession(str(onnx_model))
    labels = session.run(None, {"input": images})[0].argmax(axis=1)

    def accuracy(model: Any) -> float:
        quantized = onnxruntime.InferenceSession(model.SerializeToString())
        (logits,) = quantized.run(None, {"input": images})
        return float((logits.argmax(axis=1) == labels).mean())

    conf = configure(tmp_path, loss=0.9, max_trials=4)
    conf.inputs, conf.outputs = [], []
    model = fit(onnx_model, conf, Loader(images, labels), accuracy)
    assert model is not None
    best = outcome().best
    assert best is not None
    assert accuracy(model.model) == best.accuracy
    trials = read_trials(tmp_path / "run")
    assert len(trials) == 4
    assert {t.state.value for t in trials} == {"observed"}
    assert all(t.output_noise is not None and t.output_noise >= 0 for t in trials)
    assert (tmp_path / "run" / "best_model.onnx").is_file()
