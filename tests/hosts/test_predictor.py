"""One way to call the models of every runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nc_sigopt_strategy import predictor
from nc_sigopt_strategy.errors import DataError, ModelError
from nc_sigopt_strategy.hosts.predictor import evaluating

IMAGES = np.random.default_rng(0).normal(size=(4, 3, 12, 12)).astype(np.float32)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime")
    from tests.integration.small_onnx import write_small_onnx

    return write_small_onnx(tmp_path / "small.onnx")


def test_an_onnx_model_by_path_and_as_an_object(small: Path) -> None:
    import onnx

    by_path = predictor(small)(IMAGES)
    for model in (str(small), onnx.load(str(small))):
        assert (predictor(model)(IMAGES)[0] == by_path[0]).all()
    for inputs in ({"input": IMAGES}, [IMAGES]):
        assert predictor(str(small))(inputs)[0].shape == by_path[0].shape


def test_openvino_models_give_the_same(small: Path, tmp_path: Path) -> None:
    ov = pytest.importorskip("openvino")
    expected = predictor(small)(IMAGES)[0]
    model = ov.convert_model(str(small))
    ov.save_model(model, str(tmp_path / "small.xml"), compress_to_fp16=False)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.compile_model(model, "CPU", exact)
    assert np.allclose(predictor(compiled)(IMAGES)[0], expected, atol=1e-4)
    for inputs in ({"input": IMAGES}, [IMAGES]):
        assert predictor(compiled)(inputs)[0].shape == expected.shape
    assert predictor(model)(IMAGES)[0].shape == expected.shape
    assert predictor(tmp_path / "small.xml")(IMAGES)[0].shape == expected.shape


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_what_the_dataloader_may_yield_it_takes(
    small: Path, runtime: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Else an evaluation fails on the very batches that have just calibrated."""
    model: object = small
    if runtime == "openvino":
        ov = pytest.importorskip("openvino")
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        model = ov.compile_model(ov.convert_model(str(small)), "CPU", exact)
    predict = predictor(model)
    expected = predict(IMAGES)[0]
    for inputs in (IMAGES.astype(np.float64), list(IMAGES), {"input": IMAGES, "label": 1}):
        assert np.allclose(predict(inputs)[0], expected)
    assert not caplog.records
    with pytest.raises(DataError, match=r"batch 4 .*got float32 \[4, 12, 12\].*predictor"):
        predict(IMAGES[:, 0])


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_scalar_beside_images(tmp_path: Path, runtime: str) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip(runtime)
    tensor, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Mul", ["images", "gain"], ["made"])],
        "gained",
        [tensor("images", kind, ["n", 3]), tensor("gain", kind, [])],
        [tensor("made", kind, ["n", 3])],
    )
    path = tmp_path / "gained.onnx"
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    model: object = path
    if runtime == "openvino":
        model = pytest.importorskip("openvino").convert_model(str(path))
    images = np.ones((2, 3), np.float32)
    for gain in (np.float32(2), 2.0, np.array(2.0)):
        assert (predictor(model)({"images": images, "gain": gain})[0] == 2).all()


def test_outputs_are_the_callers_own(small: Path) -> None:
    ov = pytest.importorskip("openvino")
    predict = predictor(ov.compile_model(ov.convert_model(str(small)), "CPU"))
    first = predict(IMAGES)[0]
    kept = first.copy()
    predict(IMAGES * 2)
    assert (first == kept).all()


def test_a_graph_of_tensorflow() -> None:
    tf = pytest.importorskip("tensorflow")
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 3], name="x")
        tf.nn.relu(x * 2.0, name="y")
    (out,) = predictor(graph)(np.array([[1.0, -1.0, 2.0]], np.float32))
    assert out.tolist() == [[2.0, 0.0, 4.0]]


def test_the_evaluated_model_is_opened_as_the_run_opens_it(small: Path) -> None:
    class Session:
        def run(self, inputs: object) -> list[object]:
            return ["as timed"]

    model = object()
    with evaluating(model, Session):  # type: ignore[arg-type]
        assert predictor(model)(IMAGES) == ["as timed"]
        assert predictor(small)(IMAGES)[0].shape == (4, 4)
    with pytest.raises(ModelError, match="no model that predictor can call"):
        predictor(model)


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model file"):
        predictor(tmp_path / "no.onnx")
    with pytest.raises(ModelError, match="A dict is no model"):
        predictor({})
