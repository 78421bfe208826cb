"""The models of the harness: which one a configuration names, and what a wrong name is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_benchmarks.config.run_config import ModelConfig
from nc_sigopt_benchmarks.models import digits, digits_resnet, keras_weights
from nc_sigopt_benchmarks.models import find as models
from nc_sigopt_benchmarks.models.find import ASSETS_MODEL, find_model
from nc_sigopt_strategy.errors import DataError, ModelError


def write_assets(folder: Path, model: Path) -> None:
    images = folder / "imagenet_sample"
    images.mkdir(parents=True)
    (images / "val_map.txt").write_text("0.png 0\n")
    (folder / ASSETS_MODEL).write_bytes(model.read_bytes())


# --- trained on digits ---


def test_the_digits_file_depends_on_the_recipe() -> None:
    assert digits.fingerprint(digits.DigitsRecipe()) == digits.fingerprint(digits.DigitsRecipe())
    assert digits.fingerprint(digits.DigitsRecipe()) != digits.fingerprint(
        digits.DigitsRecipe(epochs=13)
    )


def test_the_frozen_digits_model_computes_what_the_trained_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    recipe = digits.DigitsRecipe(width=0.25, training_images=64, epochs=1)
    images = digits.digits_images(recipe.image_size)[0][:8]
    expected: dict[str, Any] = {}
    freeze = digits.frozen_graph

    def remember(model: Any) -> Any:
        expected["scores"] = model.predict(images, verbose=0)
        return freeze(model)

    monkeypatch.setattr(digits, "frozen_graph", remember)
    said: list[str] = []
    path = digits.digits_model_path(recipe, tell=said.append)
    assert path.parent == tmp_path / "nc-sigopt-strategy"
    assert "once" in said[0]
    scores = _run(path, images)
    assert np.abs(scores - expected["scores"]).max() < 1e-5
    # The second time it is only looked up.
    said.clear()
    assert digits.digits_model_path(recipe, tell=said.append) == path
    assert said == []
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_resnet50_trained_on_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    recipe = digits_resnet.ResnetRecipe(
        image_size=32,
        stages=((32, 1),),
        peak_learning_rates=(1e-3,),
        training_images=32,
        statistics_images=32,
        head_images=32,
    )
    said: list[str] = []
    path = digits_resnet.digits_resnet_path(recipe, tell=said.append)
    assert path.name.startswith("resnet50_v1_digits-")
    assert "once" in said[0]
    assert "has not seen" in said[-1]
    images, labels = digits.digits_images(recipe.image_size)
    seen, _ = digits.split_indices(len(images), recipe)
    scores = _run(path, images[seen])
    # The last layer is fitted on just these: wrong statistics, weights or bias would be a guess.
    assert (scores.argmax(axis=1) == labels[seen]).mean() > 0.9
    from nc_sigopt_strategy.backends.tensorflow import read_graph_def

    kinds = [node.op for node in read_graph_def(path).node]
    assert kinds.count("Conv2D") == 53
    assert not [kind for kind in kinds if "BatchNorm" in kind]
    said.clear()
    assert digits_resnet.digits_resnet_path(recipe, tell=said.append) == path
    assert said == []


def test_both_digits_models_are_trained_on_the_same_scans() -> None:
    recipes = digits.DigitsRecipe(), digits_resnet.ResnetRecipe()
    one, other = (digits.split_indices(1797, recipe) for recipe in recipes)
    assert (one[0] == other[0]).all()
    assert (one[1] == other[1]).all()


@pytest.mark.parametrize("classes", [(0, 1), (2, 5, 9), tuple(range(10))])
def test_the_fitted_head_tells_the_classes_apart(classes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array(classes), 20)
    features = (3 * np.eye(10)[labels] + rng.normal(5, 0.3, (len(labels), 10))).astype(np.float32)
    kernel, bias = digits_resnet.fitted_head(features, labels, 1.0)
    assert (kernel.shape, bias.shape) == ((10, 10), (10,))
    assert ((features @ kernel + bias).argmax(axis=1) == labels).all()


def _run(path: Path, images: Any) -> Any:
    from nc_sigopt_strategy.backends.tensorflow import open_frozen_graph

    session = open_frozen_graph(path, [digits.DIGITS_INPUT], [digits.DIGITS_OUTPUT])
    try:
        return session.run(images)[0]
    finally:
        session.close()


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(digits, "_train", lambda *_: pytest.fail("trained before the check"))
    with pytest.raises(ModelError, match=r"cannot be written.*XDG_CACHE_HOME"):
        digits.digits_model_path()


# --- finding a model ---


def test_auto_takes_assets_only_where_they_are_set(
    tmp_path: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NC_SIGOPT_ASSETS", str(tmp_path))
    with pytest.raises(DataError, match=r"incomplete: missing .*frozen\.pb.*imagenet_sample"):
        find_model(ModelConfig())
    monkeypatch.delenv("NC_SIGOPT_ASSETS")
    monkeypatch.setattr(models, "digits_model_path", lambda tell: small_model)
    found = find_model(ModelConfig())
    assert (found.source, found.path) == ("digits", small_model)


def test_assets_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NC_SIGOPT_ASSETS", raising=False)
    with pytest.raises(DataError, match=r"NC_SIGOPT_ASSETS is not set.*digits model"):
        find_model(ModelConfig(source="assets"))


def test_an_asset_folder_that_is_not_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NC_SIGOPT_ASSETS", "/nowhere/at/all")
    with pytest.raises(DataError, match="'/nowhere/at/all', which is not a folder"):
        find_model(ModelConfig(source="assets"))


def test_an_asset_folder_without_its_list_of_images(
    tmp_path: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_assets(tmp_path, small_model)
    (tmp_path / "imagenet_sample" / "val_map.txt").unlink()
    monkeypatch.setenv("NC_SIGOPT_ASSETS", str(tmp_path))
    with pytest.raises(DataError, match=r"incomplete: missing \S*val_map\.txt\."):
        find_model(ModelConfig(source="assets"))


def test_an_asset_model_of_another_kind(
    tmp_path: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_assets(tmp_path, small_model)
    monkeypatch.setenv("NC_SIGOPT_ASSETS", str(tmp_path))
    with pytest.raises(ModelError, match="no op 'MobilenetV1/Predictions/Reshape'"):
        find_model(ModelConfig(source="assets"))


def own(path: Path, **changes: Any) -> ModelConfig:
    values = {"path": path, "source": "path", "inputs": ("input:0",), "outputs": ("logits",)}
    return ModelConfig(**{**values, **changes})


def test_a_model_of_ones_own(small_model: Path) -> None:
    model = find_model(own(small_model))
    assert (model.inputs, model.outputs) == (("input",), ("logits",))


def test_a_missing_model_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model \S*net\.pb does not exist"):
        find_model(own(tmp_path / "net.pb"))


def test_an_output_that_the_model_does_not_have(small_model: Path) -> None:
    with pytest.raises(ModelError, match=r"no op 'softmax'.*placeholders are input.*'logits'"):
        find_model(own(small_model, outputs=("softmax",)))


@pytest.mark.parametrize("source", ["auto", "assets", "keras", "digits"])
def test_an_unknown_model(source: str) -> None:
    with pytest.raises(ModelError, match=r"Unknown model 'resnet50'.*mean 'resnet50_v1'\?"):
        find_model(ModelConfig(name="resnet50", source=source))


def test_an_own_model_is_called_as_one_likes(small_model: Path) -> None:
    assert find_model(own(small_model, name="my net")).name == "my net"


def test_the_assets_have_no_resnet50() -> None:
    with pytest.raises(ModelError, match=r"assets hold mobilenet_v1 only.*source to keras"):
        find_model(ModelConfig(name="resnet50_v1", source="assets"))


def test_auto_takes_digits_for_resnet50(
    tmp_path: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NC_SIGOPT_ASSETS", str(tmp_path))
    monkeypatch.setattr(models, "digits_resnet_path", lambda tell: small_model)
    model = find_model(ModelConfig(name="resnet50_v1"))
    assert (model.source, model.image_size, model.classes) == ("digits", 224, 10)
    assert "Latency is that of the full-size model" in model.description
    assert "handwritten digits" in model.description


def test_settings_of_the_configuration_win(small_model: Path) -> None:
    model = find_model(own(small_model, preprocessing="torch", label_offset=3))
    assert (model.preprocessing, model.label_offset) == ("torch", 3)
    model = find_model(own(small_model, name="resnet50_v1"))
    assert (model.preprocessing, model.label_offset, model.classes) == ("caffe", 0, 4)


def test_keras_weights_that_cannot_be_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def refused(**arguments: Any) -> Any:
        raise Exception("URL fetch failure on https://example.org/net.h5: None -- no network")

    monkeypatch.setattr(tf.keras.applications, "MobileNet", refused)
    with pytest.raises(ModelError, match=r"from https://example\.org/net\.h5: .*FILE\.h5; or"):
        find_model(ModelConfig(source="keras"))


def test_downloaded_keras_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build = tf.keras.applications.MobileNet
    monkeypatch.setattr(
        keras_weights.needed("tensorflow").keras.applications,
        "MobileNet",
        lambda weights, **arguments: build(weights=None, **arguments),
    )
    model = find_model(ModelConfig(source="keras"))
    assert (model.preprocessing, model.label_offset, model.classes) == ("tf", 0, 1000)
    assert (model.inputs, model.outputs, model.image_size) == (("input",), ("logits",), 224)


@pytest.mark.parametrize("format", ["frozen", "saved_model", "onnx"])
def test_the_assets_in_each_format(
    format: str, assets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = find_model(ModelConfig(source="assets", format=format))
    assert model.format == format
    assert model.framework == ("onnxruntime" if format == "onnx" else "tensorflow")
    assert (model.label_offset, model.classes, model.image_size) == (1, 1001, 224)
