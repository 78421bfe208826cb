"""Models, data and pipelines of the harness: what is found, and what wrong ones are told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nc_sigopt_benchmarks import digits, models
from nc_sigopt_benchmarks.config import ModelConfig
from nc_sigopt_benchmarks.data import (
    CalibrationLoader,
    ImageSet,
    digits_data,
    imagenet_data,
    load_image,
    read_listing,
)
from nc_sigopt_benchmarks.models import ASSETS_MODEL, find_model
from nc_sigopt_strategy.errors import DataError, MissingExtraError, ModelError

SMALL = ModelConfig(source="path", inputs=("input",), outputs=("logits",))


def write_images(folder: Path, count: int = 6, size: tuple[int, int] = (300, 256)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(count):
        # The left half is black, the right half red: a centre crop has both.
        pixels = np.zeros((size[1], size[0], 3), np.uint8)
        pixels[:, size[0] // 2 :, 0] = 255
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png {number * 100}\n")
    (folder / "val_map.txt").write_text("".join(lines))


def write_assets(folder: Path, model: Path) -> None:
    write_images(folder / "imagenet_sample")
    (folder / ASSETS_MODEL).write_bytes(model.read_bytes())


# --- images ---


def test_images_are_centre_crops_in_minus_one_to_one(tmp_path: Path) -> None:
    write_images(tmp_path)
    image = load_image(tmp_path / "0.png")
    assert image.shape == (224, 224, 3)
    assert image.dtype == np.float32
    assert (image[0, 0, 0], image[0, -1, 0]) == (-1.0, 1.0)
    assert image[0, -1, 1] == -1.0


def test_class_zero_is_background(tmp_path: Path) -> None:
    write_images(tmp_path)
    first, second = imagenet_data(tmp_path, 2, 4, seed=0)
    assert sorted([*first.labels, *second.labels]) == [1, 101, 201, 301, 401, 501]


def test_calibration_and_evaluation_share_no_image(tmp_path: Path) -> None:
    write_images(tmp_path)
    splits = [imagenet_data(tmp_path, 3, 3, seed) for seed in (1, 1, 2)]
    assert not set(splits[0][0].labels) & set(splits[0][1].labels)
    assert (splits[0][0].labels == splits[1][0].labels).all()
    assert (splits[0][0].labels != splits[2][0].labels).any()


def test_more_images_than_there_are(tmp_path: Path) -> None:
    write_images(tmp_path)
    with pytest.raises(DataError, match=r"5 calibration and 4 evaluation.*has 6.*Lower data\."):
        imagenet_data(tmp_path, 5, 4, seed=0)


@pytest.mark.parametrize("package", ["PIL", "sklearn"])
def test_a_missing_package_is_named_with_its_extra(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*nc_sigopt_strategy\[benchmark\]"):
        digits.digits_images(32)


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "3.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"3\.png cannot be read.*val_map\.txt"):
        imagenet_data(tmp_path, 3, 3, seed=0)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "3.png").unlink()
    with pytest.raises(DataError, match=r"3\.png cannot be read.*No such file"):
        imagenet_data(tmp_path, 3, 3, seed=0)


def test_a_small_image_is_named_with_its_size(tmp_path: Path) -> None:
    write_images(tmp_path, size=(300, 200))
    with pytest.raises(DataError, match=r"0\.png is 300x200 pixels.*at least 224"):
        load_image(tmp_path / "0.png")


@pytest.mark.parametrize("line", ["0.png 1000", "0.png", "0.png x", "0.png -1"])
def test_a_label_out_of_range_is_named_with_its_line(line: str, tmp_path: Path) -> None:
    (tmp_path / "val_map.txt").write_text(f"0.png 5\n{line}\n")
    with pytest.raises(DataError, match=r"val_map\.txt, line 2: .*0 to 999"):
        read_listing(tmp_path)


def test_a_folder_without_a_listing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"val_map\.txt cannot be read"):
        imagenet_data(tmp_path, 1, 1, seed=0)


def test_the_calibration_loader_starts_afresh_each_time() -> None:
    data = ImageSet(np.zeros((5, 2, 2, 3), np.float32), np.arange(5))
    loader = CalibrationLoader(data, batch_size=2)
    assert [len(labels) for _, labels in loader] == [2, 2, 1]
    assert [len(labels) for _, labels in loader] == [2, 2, 1]
    assert len(loader) == 3


# --- digits ---


def test_digits_evaluate_on_scans_that_trained_nothing() -> None:
    recipe = digits.DigitsRecipe()
    trained, unseen = digits.split_indices(1797, recipe)
    assert not set(trained) & set(unseen)
    calibration, evaluation = digits_data(100, 400, seed=0)
    assert calibration.images.shape == (100, 32, 32, 3)
    assert evaluation.images.min() >= -1
    assert evaluation.images.max() <= 1
    assert len(evaluation) == 400


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NC_SIGOPT_ASSETS", str(tmp_path))
    with pytest.raises(DataError, match=r"incomplete: missing .*frozen\.pb.*imagenet_sample"):
        find_model(ModelConfig())
    monkeypatch.delenv("NC_SIGOPT_ASSETS")
    monkeypatch.setattr(models, "_digits_model", lambda name, tell: name)
    assert find_model(ModelConfig()) == "mobilenet_v1"


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


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a folder.*frozen TensorFlow graph"):
        find_model(own(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" * 9], ids=["empty", "an .h5"])
def test_a_file_that_is_not_a_model(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"net\.pb .*SavedModel, a checkpoint or an \.h5"):
        find_model(own(path))


def test_an_output_that_the_model_does_not_have(small_model: Path) -> None:
    with pytest.raises(ModelError, match=r"no op 'softmax'.*placeholders are input.*'logits'"):
        find_model(own(small_model, outputs=("softmax",)))
