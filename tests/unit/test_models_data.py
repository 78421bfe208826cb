"""Models, data and pipelines of the harness: what is found, and what wrong ones are told."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nc_sigopt_benchmarks import digits
from nc_sigopt_benchmarks.data import (
    CalibrationLoader,
    ImageSet,
    digits_data,
    imagenet_data,
    load_image,
    read_listing,
)
from nc_sigopt_strategy.errors import DataError, MissingExtraError


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
