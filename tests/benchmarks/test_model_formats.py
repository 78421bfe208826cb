"""Models of each format: frozen, converted, written back, and what wrong ones are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

from nc_sigopt_benchmarks.config.run_config import ModelConfig
from nc_sigopt_benchmarks.models import model_formats
from nc_sigopt_benchmarks.models.batch_norm_folding import fold_batch_norm
from nc_sigopt_benchmarks.models.find import BenchmarkModel, find_model, model_size_bytes
from nc_sigopt_benchmarks.models.saved_models import FrozenModel, run_graph, write_saved_model
from nc_sigopt_strategy.backends.tensorflow import read_graph_def
from nc_sigopt_strategy.errors import ModelError
from tests.integration.small_onnx import write_small_onnx

IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
layers = tf.keras.layers


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nc-sigopt-strategy"


def keras_model(*, strange: bool = False) -> Any:
    """Convolutions with trained-looking batch normalization; ``strange``: an unusual layer too."""
    tf.keras.utils.set_random_seed(0)
    images = layers.Input((16, 16, 3), name="images")
    value = layers.Conv2D(8, 3, padding="same", use_bias=False)(images)
    value = layers.BatchNormalization()(value)
    value = layers.LeakyReLU()(value) if strange else layers.ReLU(6.0)(value)
    value = layers.DepthwiseConv2D(3, strides=2, padding="same")(value)
    value = layers.BatchNormalization(scale=not strange)(value)
    value = layers.ReLU()(value)
    value = layers.GlobalAveragePooling2D()(value)
    model = tf.keras.Model(images, layers.Dense(5, activation="softmax", name="scores")(value))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, rng.uniform(-1, 1, bias.shape)])
    return model


def expected(model: Any) -> Any:
    return model.predict(IMAGES, verbose=0)


def given(path: Path, **changes: Any) -> BenchmarkModel:
    return find_model(ModelConfig(**{"source": "path", "name": "own", "path": path, **changes}))


def scores(model: BenchmarkModel) -> Any:
    if model.framework == "onnxruntime":
        session = onnxruntime.InferenceSession(str(model.path))
        return session.run(None, {model.inputs[0]: IMAGES})[0]
    frozen = FrozenModel(read_graph_def(model.path), model.inputs, model.outputs)
    return run_graph(frozen, [IMAGES])[0]


def ops(model: BenchmarkModel) -> list[str]:
    return [node.op for node in read_graph_def(model.path).node]


# --- SavedModels and Keras files ---


@pytest.mark.parametrize("strange", [False, True], ids=["known layers", "other layers"])
@pytest.mark.parametrize("kind", ["model.h5", "model.keras", "saved_model"])
def test_a_model_is_frozen_with_its_batch_norm_folded(
    kind: str, strange: bool, tmp_path: Path, cache: Path
) -> None:
    keras, path = keras_model(strange=strange), tmp_path / kind
    if kind == "saved_model":
        tf.saved_model.save(keras, str(path))
    else:
        keras.save(path)
    model = given(path)
    assert np.abs(scores(model) - expected(keras)).max() < 1e-5
    assert (model.framework, model.format, model.classes) == ("tensorflow", "frozen", 5)
    assert (model.image_size, model.label_offset) == (16, 0)
    assert not {"Rsqrt", "Mul", "Sub", "AddV2", "FusedBatchNormV3"} & set(ops(model))
    assert ops(model).count("BiasAdd") == 3
    assert model.path.parent == cache
    # The second time it is only looked up: nothing could be frozen now.
    written = model.path.stat().st_mtime_ns
    assert given(path) == model
    assert model.path.stat().st_mtime_ns == written


def test_batch_norm_of_older_graphs_is_folded(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    rng = np.random.default_rng(0)
    graph = v1.Graph()
    with graph.as_default():
        value = v1.placeholder(tf.float32, (None, 16, 16, 3), name="images")
        kernel = tf.constant(rng.normal(size=(3, 3, 3, 4)).astype(np.float32))
        value = tf.nn.conv2d(value, kernel, 1, "SAME", name="conv")
        numbers = [tf.constant(rng.uniform(0.5, 1.5, 4).astype(np.float32)) for _ in range(4)]
        value, *_ = v1.nn.fused_batch_norm(value, *numbers, is_training=False, name="norm")
        tf.nn.relu(value, name="scores")
    before = graph.as_graph_def()
    after = fold_batch_norm(before, ["scores"])
    assert [node.op for node in after.node if node.op != "Const"] == [
        "Placeholder", "Conv2D", "BiasAdd", "Relu"
    ]  # fmt: skip
    one, other = (
        run_graph(FrozenModel(g, ("images",), ("scores",)), [IMAGES])[0] for g in (before, after)
    )
    assert np.abs(one - other).max() < 1e-4


def test_a_convolution_that_others_read_is_not_folded() -> None:
    v1 = tf.compat.v1
    graph = v1.Graph()
    with graph.as_default():
        images = v1.placeholder(tf.float32, (None, 16, 16, 3), name="images")
        kernel = tf.constant(np.ones((1, 1, 3, 4), np.float32))
        value = tf.nn.conv2d(images, kernel, 1, "SAME", name="conv")
        scaled = tf.multiply(value, tf.constant(np.full(4, 2, np.float32)))
        tf.add(scaled, value, name="scores")
    before = graph.as_graph_def()
    assert len(fold_batch_norm(before, ["scores"]).node) == len(before.node)


def test_weights_only_need_their_architecture(tmp_path: Path) -> None:
    keras = tf.keras.applications.MobileNet(weights=None, classes=3, classifier_activation=None)
    path = tmp_path / "mobilenet.weights.h5"
    keras.save_weights(path)
    model = given(path, name="mobilenet_v1")
    images = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    frozen = FrozenModel(read_graph_def(model.path), model.inputs, model.outputs)
    found = run_graph(frozen, [images])[0]
    wanted = keras.predict(images, verbose=0)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert (model.classes, model.preprocessing) == (3, "tf")
    with pytest.raises(ModelError, match=r"weights only, and model\.name is 'own'.*mobilenet_v1"):
        given(path)
    with pytest.raises(ModelError, match=r"no classifier of resnet50_v1.*include_top"):
        given(path, name="resnet50_v1")


def test_a_saved_model_written_and_read_again(tmp_path: Path) -> None:
    keras = keras_model()
    tf.saved_model.save(keras, str(tmp_path / "first"))
    model = given(tmp_path / "first", format="saved_model")
    assert model.format == "saved_model"
    folder = write_saved_model(model.path, model.inputs, model.outputs, tmp_path / "out" / "best")
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    result = signature(**{model.inputs[0]: tf.constant(IMAGES)})
    assert np.abs(result[model.outputs[0]].numpy() - expected(keras)).max() < 1e-5
    # Keys of the signature stay what they were.
    original = tf.saved_model.load(str(tmp_path / "first")).signatures["serving_default"]
    assert set(signature.structured_outputs) == set(original.structured_outputs)
    assert np.abs(scores(given(folder)) - expected(keras)).max() < 1e-5
    (folder / "more").write_bytes(b"12")
    assert model_size_bytes(folder) == model_size_bytes(folder / "saved_model.pb") + 2
    # Written over, and nothing half-written is left beside it.
    write_saved_model(model.path, model.inputs, model.outputs, folder)
    assert [entry.name for entry in folder.parent.iterdir()] == ["best"]


# --- ONNX ---


def test_a_model_converted_to_onnx(tmp_path: Path, cache: Path) -> None:
    keras = keras_model()
    keras.save(tmp_path / "model.keras")
    model = given(tmp_path / "model.keras", format="onnx")
    assert (model.framework, model.format) == ("onnxruntime", "onnx")
    assert (model.image_size, model.classes) == (16, 5)
    assert np.abs(scores(model) - expected(keras)).max() < 1e-5
    loaded = onnx.load(str(model.path))
    assert [entry.version for entry in loaded.opset_import if not entry.domain] == [13]
    assert not [file for file in cache.iterdir() if "partial" in file.name]
    assert given(tmp_path / "model.keras", format="onnx") == model


def test_a_conversion_that_computes_something_else_is_refused(
    small_model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = model_formats.to_onnx

    def wrong(*arguments: Any) -> bytes:
        model = onnx.ModelProto.FromString(convert(*arguments))
        for tensor in model.graph.initializer:
            values = onnx.numpy_helper.to_array(tensor)
            if values.ndim == 4:
                tensor.CopyFrom(onnx.numpy_helper.from_array(values * 1.01, tensor.name))
        return bytes(model.SerializeToString())

    monkeypatch.setattr(model_formats, "to_onnx", wrong)
    with pytest.raises(ModelError, match=r"something else after the conversion to ONNX: up to"):
        given(small_model, inputs=("input",), outputs=("logits",), format="onnx")
    assert not list(cache.glob("*.onnx"))


def test_a_given_onnx_model_is_used_as_it_is(tmp_path: Path) -> None:
    path = write_small_onnx(tmp_path / "net.onnx")
    model = given(path, format="onnx", label_offset=2, preprocessing="torch")
    assert model.path == path
    assert (model.inputs, model.outputs) == (("input",), ("logits",))
    assert (model.image_size, model.classes) == (12, 4)
    assert (model.label_offset, model.preprocessing) == (2, "torch")


def test_onnx_cannot_become_a_tensorflow_graph(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'frozen'.*cannot be turned.*model\.format to onnx"):
        given(write_small_onnx(tmp_path / "net.onnx"))


def test_an_onnx_output_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no output 'softmax'; it has logits.*model\.outputs"):
        given(write_small_onnx(tmp_path / "net.onnx"), format="onnx", outputs=("softmax",))


@pytest.mark.parametrize("content", [b"\xff" * 99, b"\x08\x08"], ids=["no protobuf", "no ops"])
def test_a_file_that_is_not_onnx(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"net\.onnx is not an ONNX model"):
        given(tmp_path / "net.onnx", format="onnx")


# --- paths that hold something else ---


def test_a_cache_that_cannot_be_written(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot be written.*XDG_CACHE_HOME"):
        given(small_model, inputs=("input",), outputs=("logits",), format="onnx")


def test_a_checkpoint_is_called_one(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("checkpoint", "model.ckpt.index", "model.ckpt.data-00000-of-00001"):
        (folder / name).write_bytes(b"x")
    for path in (folder, folder / "model.ckpt", folder / "model.ckpt.index"):
        with pytest.raises(ModelError, match=r"checkpoint\. It has no graph.*SavedModel"):
            given(path)


def test_a_folder_that_is_no_saved_model(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "notes.txt").write_text("")
    with pytest.raises(ModelError, match=r"without saved_model\.pb.*holds notes\.txt\. Give a"):
        given(folder)


def test_a_damaged_saved_model(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\xff" * 99)
    with pytest.raises(ModelError, match=r"SavedModel \S*net cannot be loaded"):
        given(folder)
    with pytest.raises(ModelError, match=r"file inside of a SavedModel.*Give its folder: \S*net"):
        given(folder / "saved_model.pb")


def test_a_saved_model_without_a_signature(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "net"))
    with pytest.raises(ModelError, match=r"no signature 'serving_default'.*none"):
        given(tmp_path / "net")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("net.pb", b"", r"is an empty file"),
        ("net.pb", b"\x89HDF\r\n\x1a\n" * 9, r"Keras file \S*net\.pb cannot be read"),
        ("net.h5", b"no such thing", r"called a Keras file, but holds something else"),
        ("net.pb", b"no such thing", r"not a frozen TensorFlow graph.*\(\.pb\)"),
        ("net.tflite", b"\x1c\0\0\0TFL3rest", r"is a TensorFlow Lite model"),
    ],
    ids=["empty", "cut .h5", "no .h5", "no graph", "tflite"],
)
def test_a_file_of_another_kind(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    ends = {"inputs": ("input",), "outputs": ("logits",)}
    with pytest.raises(ModelError, match=said):
        given(tmp_path / name, **ends)


def test_a_zip_that_is_no_keras_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", a=np.zeros(2))
    with pytest.raises(ModelError, match=r"is a zip archive"):
        given(tmp_path / "net.npz")


def test_a_graph_with_variables(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with v1.Graph().as_default() as graph:
        variable = v1.get_variable("weight", (), use_resource=True)
        tf.add(v1.placeholder(tf.float32, (), name="input"), variable, name="logits")
    (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(ModelError, match=r"not frozen: 'weight' is a variable"):
        given(tmp_path / "net.pb", inputs=("input",), outputs=("logits",))


def test_a_frozen_graph_without_names(small_model: Path) -> None:
    with pytest.raises(ModelError, match=r"Set model\.inputs and model\.outputs"):
        given(small_model)


def test_the_size_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not exist"):
        model_size_bytes(tmp_path / "none")
