"""Images of the harness: every layout, what is drawn from it, and what wrong data are told."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nc_sigopt_benchmarks.config.run_config import DataConfig, ModelConfig
from nc_sigopt_benchmarks.datasets import (
    CalibrationLoader,
    ImageSet,
    Splits,
    known_accuracy_warning,
    load_splits,
    split_disjoint,
)
from nc_sigopt_benchmarks.datasets.preprocessing import centre, normalized
from nc_sigopt_benchmarks.models import digits
from nc_sigopt_benchmarks.models.benchmark_model import BenchmarkModel
from nc_sigopt_benchmarks.models.find import find_model
from nc_sigopt_strategy.errors import DataError, MissingExtraError

MODEL = BenchmarkModel(
    "m", "path", "", Path("m.pb"), ("input",), ("logits",), image_size=32, classes=1000
)
DIGITS_MODEL = replace(MODEL, name="mobilenet_v1", source="digits", classes=10)
SYNSETS = [f"n{number:08d}" for number in range(100, 1100)]


def picture(shade: int, size: tuple[int, int] = (50, 40), mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", size, (shade, 0, 0)).convert(mode)


def save(path: Path, shade: int = 0, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(shade, mode=mode).save(path)


def load(
    folder: Path,
    counts: tuple[int, int, int] = (2, 3, 0),
    model: BenchmarkModel = MODEL,
    **config: Any,
) -> Splits:
    calibration, evaluation, held_out = counts
    return load_splits(
        DataConfig(
            source="imagenet",
            path=folder,
            calibration_images=calibration,
            evaluation_images=evaluation,
            held_out_images=held_out,
            **config,
        ),
        model,
    )


def labels_of(splits: Splits) -> list[int]:
    sets = [splits.calibration, splits.evaluation, splits.held_out]
    return sorted(int(label) for part in sets if part is not None for label in part.labels)


def write_flat(folder: Path, labels: Sequence[object] = (3, 1, 4, 15, 9), where: str = "") -> None:
    """Images whose names are numbers, and their map file."""
    for number in range(len(labels)):
        save(folder / f"{number}.png", number * 10)
    lines = [f"{where}{number}.png {label}\n" for number, label in enumerate(labels)]
    (folder / "val_map.txt").write_text("".join(lines))


# --- what is drawn ---


def test_splits_share_no_image_and_depend_on_the_seed(tmp_path: Path) -> None:
    write_flat(tmp_path, range(12))
    drawn = load(tmp_path, (3, 4, 5))
    assert labels_of(drawn) == list(range(12))
    again, other = load(tmp_path, (3, 4, 5)), load(tmp_path, (3, 4, 5), seed=1)
    assert (drawn.evaluation.labels == again.evaluation.labels).all()
    assert (drawn.calibration.images == again.calibration.images).all()
    assert (drawn.evaluation.labels != other.evaluation.labels).any()


def test_held_out_images_change_no_other() -> None:
    with_them = split_disjoint(50, 10, 20, 15, 3, "x")
    without = split_disjoint(50, 10, 20, 0, 3, "x")
    assert (with_them[0] == without[0]).all()
    assert (with_them[1] == without[1]).all()
    assert len({*np.concatenate(with_them)}) == 45
    assert len(without[2]) == 0


def test_only_drawn_images_are_decoded(tmp_path: Path) -> None:
    write_flat(tmp_path, range(8))
    drawn = set(labels_of(load(tmp_path, (1, 2, 0))))
    for number in set(range(8)) - drawn:
        (tmp_path / f"{number}.png").write_bytes(b"not an image")
    assert set(labels_of(load(tmp_path, (1, 2, 0)))) == drawn


def test_label_offset_and_description(tmp_path: Path) -> None:
    write_flat(tmp_path)
    splits = load(tmp_path, model=replace(MODEL, classes=1001, label_offset=1))
    assert labels_of(splits) == [2, 4, 5, 10, 16]
    assert splits.held_out is None
    assert splits.description == (
        f"The images are 5 of the 5 in {tmp_path / 'val_map.txt'}, drawn by seed 0."
    )


def test_more_images_than_there_are(tmp_path: Path) -> None:
    write_flat(tmp_path)
    with pytest.raises(DataError, match=r"2 calibration and 4 evaluation.*\(6 alto.*has 5.*Lower"):
        load(tmp_path, (2, 4, 0))
    with pytest.raises(DataError, match=r"2 calibration, 3 evaluation and 1 held-out.*has 5"):
        load(tmp_path, (2, 3, 1))


def test_the_calibration_loader_starts_afresh_each_time() -> None:
    data = ImageSet(np.zeros((5, 2, 2, 3), np.float32), np.arange(5))
    loader = CalibrationLoader(data, batch_size=2)
    assert [len(labels) for _, labels in loader] == [2, 2, 1]
    assert [len(labels) for _, labels in loader] == [2, 2, 1]
    assert len(loader) == 3


# --- preprocessing ---


def test_images_are_resized_and_their_centre_is_cut() -> None:
    pixels = np.zeros((400, 600, 3), np.uint8)
    pixels[:, 300:, 0] = 255  # the right half is red
    cut = np.asarray(centre(Image.fromarray(pixels), 224))
    assert cut.shape == (224, 224, 3)
    assert (cut[:, :110, 0] == 0).all()
    assert (cut[:, 114:, 0] == 255).all()
    # Nothing is resampled where the shorter side is 256 already.
    noise = np.random.default_rng(0).integers(0, 256, (256, 300, 3), np.uint8)
    assert (np.asarray(centre(Image.fromarray(noise), 224)) == noise[16:240, 38:262]).all()


@pytest.mark.parametrize("size", [(10, 9), (3000, 40), (40, 3000)])
def test_images_of_any_shape_are_cut(size: tuple[int, int]) -> None:
    assert centre(picture(9, size), 224).size == (224, 224)


def test_normalizations_are_those_of_keras() -> None:
    from tensorflow.keras.applications.imagenet_utils import preprocess_input

    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    for name in ("tf", "caffe", "torch"):
        expected = preprocess_input(pixels.astype(np.float32), mode=name)
        np.testing.assert_allclose(normalized(Image.fromarray(pixels), name), expected, atol=1e-4)
        assert normalized(Image.fromarray(pixels), name).dtype == np.float32
    with pytest.raises(DataError, match=r"'tensorflow' is unknown.*tf, caffe, torch"):
        normalized(Image.fromarray(pixels), "tensorflow")


def test_lite_is_as_efficientnet_lite_was_trained() -> None:
    pixels = np.array([[[0, 127, 255]]], np.uint8)
    found = normalized(Image.fromarray(pixels), "lite")
    assert found.tolist() == [[[-127 / 128, 0.0, 1.0]]]
    assert found.dtype == np.float32


def test_colours_come_first_where_the_model_has_them_first(tmp_path: Path) -> None:
    write_flat(tmp_path)
    last = load(tmp_path).evaluation.images
    first = load(tmp_path, model=replace(MODEL, layout="channels_first")).evaluation.images
    assert first.shape == (3, 3, 32, 32)
    assert np.array_equal(first, last.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(("mode", "suffix"), [("L", "png"), ("CMYK", "jpg"), ("P", "png")])
def test_grey_and_cmyk_images(mode: str, suffix: str, tmp_path: Path) -> None:
    for label in (3, 5):
        save(tmp_path / str(label) / f"0.{suffix}", 200, mode)
    images = load(tmp_path, (1, 1, 0)).calibration.images
    assert images.shape == (1, 32, 32, 3)
    assert np.ptp(images) < 1.8
    if mode == "L":
        assert images.min() == images.max() == pytest.approx(60 / 127.5 - 1, abs=0.01)


# --- a folder per class ---


def test_folders_with_imagenettes_names(tmp_path: Path) -> None:
    for name in ("n01440764", "n03888257", "n03445777"):
        save(tmp_path / "val" / name / "a.JPEG")
        (tmp_path / "val" / name / "notes.txt").write_text("no image")
    (tmp_path / "train").mkdir()
    assert labels_of(load(tmp_path, (1, 2, 0))) == [0, 574, 701]
    assert labels_of(load(tmp_path / "val", (1, 2, 0))) == [0, 574, 701]


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("file", ["LOC_synset_mapping.txt", "synset_words.txt", "synsets.txt"])
def test_folders_with_a_synset_file(file: str, beside: bool, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for position in (7, 999):
        save(folder / SYNSETS[position] / "a.png")
    lines = "".join(f"{synset} a thing, {synset}\n" for synset in SYNSETS)
    ((tmp_path if beside else folder) / file).write_text(lines)
    assert labels_of(load(folder, (1, 1, 0))) == [7, 999]


def test_folders_with_numbers_count_as_numbers(tmp_path: Path) -> None:
    for name in ("2", "10", "0999"):
        save(tmp_path / name / "a.png")
    assert labels_of(load(tmp_path, (1, 2, 0))) == [2, 10, 999]


def test_a_thousand_folders_are_counted_in_their_order(tmp_path: Path) -> None:
    for synset in SYNSETS:
        (tmp_path / synset).mkdir()
    for position in (0, 10, 640):
        save(tmp_path / SYNSETS[position] / "a.png")
    assert labels_of(load(tmp_path, (1, 2, 0))) == [0, 10, 640]


def test_folders_of_unknown_classes(tmp_path: Path) -> None:
    for name in ("n01440764", "dogs", "n99999999"):
        save(tmp_path / name / "a.png")
    with pytest.raises(DataError, match=r"2 of the 3 folders.*: dogs, n99999999\..*synset file"):
        load(tmp_path)


def test_a_synset_file_with_nonsense(tmp_path: Path) -> None:
    save(tmp_path / SYNSETS[0] / "a.png")
    for text, says in {
        "tench\n": "'tench' does not",
        f"{SYNSETS[0]} x\n" * 2: "second time",
    }.items():
        (tmp_path / "synsets.txt").write_text("n01440764\n" + text)
        with pytest.raises(DataError, match=rf"synsets\.txt, line [23]: .*{says}"):
            load(tmp_path)


# --- a flat folder and a map file ---


@pytest.mark.parametrize("name", ["val_map.txt", "val.txt"])
@pytest.mark.parametrize("beside", [True, False])
def test_a_map_file(name: str, beside: bool, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    write_flat(folder)
    (folder / "val_map.txt").rename((tmp_path if beside else folder) / name)
    assert labels_of(load(folder)) == [1, 3, 4, 9, 15]


def test_a_map_file_beside_counts_from_its_own_folder(tmp_path: Path) -> None:
    write_flat(tmp_path / "images", where="images/")
    (tmp_path / "images" / "val_map.txt").rename(tmp_path / "val_map.txt")
    assert labels_of(load(tmp_path / "images")) == [1, 3, 4, 9, 15]


def test_a_map_file_that_is_named(tmp_path: Path) -> None:
    write_flat(tmp_path / "images")
    other = tmp_path / "lists" / "mine.lst"
    other.parent.mkdir()
    other.write_text("0.png\t7\n\n4.png  8\n")
    assert labels_of(load(tmp_path / "images", (1, 1, 0), labels=other)) == [7, 8]
    with pytest.raises(DataError, match=r"nowhere\.lst is not a file.*data\.labels"):
        load(tmp_path / "images", labels=tmp_path / "nowhere.lst")


def test_a_map_file_with_synsets(tmp_path: Path) -> None:
    write_flat(tmp_path, SYNSETS[5:10])
    with pytest.raises(DataError, match=rf"line 1: .*synset {SYNSETS[5]} is unknown.*synset file"):
        load(tmp_path)
    (tmp_path / "synset_words.txt").write_text("\n".join(SYNSETS))
    assert labels_of(load(tmp_path)) == [5, 6, 7, 8, 9]


def test_kaggles_solution_file(tmp_path: Path) -> None:
    folder = tmp_path / "ILSVRC" / "val"
    lines = ["ImageId,PredictionString"]
    for number in range(3):
        save(folder / f"ILSVRC2012_val_{number:08d}.JPEG")
        box = f"{SYNSETS[number]} 85 1 499 272 "
        lines.append(f"ILSVRC2012_val_{number:08d},{box * (number + 1)}")
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "LOC_synset_mapping.txt").write_text("\n".join(f"{s} x, y" for s in SYNSETS))
    named = load(folder, (1, 2, 0), labels=tmp_path / "LOC_val_solution.csv")
    assert labels_of(named) == [0, 1, 2]
    (tmp_path / "LOC_val_solution.csv").rename(folder / "LOC_val_solution.csv")
    (tmp_path / "LOC_synset_mapping.txt").rename(folder / "LOC_synset_mapping.txt")
    assert labels_of(load(folder, (1, 2, 0))) == [0, 1, 2]


@pytest.mark.parametrize("line", ["1.png 1000", "1.png", "1.png x", "1.png -1", "7", "1.png 1.0"])
def test_nonsense_in_a_map_file_is_named_with_its_line(line: str, tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "val_map.txt").write_text(f"0.png 5\n{line}\n")
    with pytest.raises(DataError, match=r"val_map\.txt, line 2: .*0 to 999"):
        load(tmp_path)


def test_an_image_that_is_listed_again(tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "val_map.txt").write_text("0.png 5\n1.png 5\n0.png 5\n")
    with pytest.raises(DataError, match=r"line 3: 0\.png is listed a second time"):
        load(tmp_path)


def test_missing_images_are_named_and_counted(tmp_path: Path) -> None:
    write_flat(tmp_path, range(9))
    for number in range(2, 9):
        (tmp_path / f"{number}.png").unlink()
    with pytest.raises(DataError, match=r"7 of the 9 .*: 2\.png, 3\.png, 4\.png, \.\.\."):
        load(tmp_path, (1, 1, 0))


def test_unreadable_and_truncated_images_are_named(tmp_path: Path) -> None:
    write_flat(tmp_path)
    (tmp_path / "3.png").write_bytes(b"not an image")
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)).save(
        whole, "JPEG"
    )
    (tmp_path / "1.png").write_bytes(whole.getvalue()[:2000])
    with pytest.raises(DataError, match=r"val_map\.txt") as caught:
        load(tmp_path)
    assert "3.png cannot be read: cannot identify" in str(caught.value)
    assert "1.png cannot be read: image file is truncated" in str(caught.value)


# --- TFRecords ---


def write_records(path: Path, records: Sequence[dict[str, Any]]) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            feature = {
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                if isinstance(value, bytes)
                else tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
                for key, value in record.items()
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def record(label: int) -> dict[str, Any]:
    content = io.BytesIO()
    picture(label % 256).save(content, "JPEG")
    return {"image/encoded": content.getvalue(), "image/class/label": label}


def test_records(tmp_path: Path) -> None:
    for shard in range(2):
        path = tmp_path / f"validation-{shard:05d}-of-00002"
        write_records(path, [record(500 * shard + 1), record(500 * shard + 500)])
    splits = load(tmp_path, (1, 2, 1))
    assert labels_of(splits) == [0, 499, 500, 999]
    assert "(TFRecords)" in splits.description
    with pytest.raises(DataError, match="Wrong number of classes"):
        load(tmp_path, (1, 2, 1), model=replace(MODEL, classes=10))


@pytest.mark.parametrize("label", [0, 1001])
def test_a_record_with_a_label_out_of_range(label: int, tmp_path: Path) -> None:
    write_records(tmp_path / "validation-00000-of-00001", [record(1), record(label)])
    with pytest.raises(DataError, match=rf"at byte \d+ has the label {label}, .* 1 to 1000"):
        load(tmp_path, (1, 1, 0))


def test_records_of_another_layout(tmp_path: Path) -> None:
    write_records(tmp_path / "validation-00000-of-00001", [{"image": b"x", "label": 3}] * 2)
    with pytest.raises(DataError, match=r"lacks image/encoded; it has image, label"):
        load(tmp_path, (1, 1, 0))


def test_damaged_and_missing_records(tmp_path: Path) -> None:
    path = tmp_path / "validation-00000-of-00001"
    write_records(path, [record(1), record(2)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(DataError, match=r"of-00001 is truncated, or is not a TFRecord"):
        load(tmp_path, (1, 1, 0))
    length = 20
    path.write_bytes(struct.pack("<QI", length, 0) + b"\xff" * (length + 4) + whole)
    with pytest.raises(DataError, match=r"at byte 12 cannot be read"):
        load(tmp_path, (1, 2, 0))
    path.rename(tmp_path / "validation-00000-of-00003")
    with pytest.raises(DataError, match=r"has 1 files of records, but by their names there are 3"):
        load(tmp_path, (1, 1, 0))


# --- wrong data ---


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist.*data\.path"):
        load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file is not a folder"):
        load(tmp_path / "file")
    with pytest.raises(DataError, match=r"holds no images, no folders of classes"):
        load(tmp_path)
    (tmp_path / "n01440764").mkdir()
    with pytest.raises(DataError, match=r"1 class folders in .* hold no images"):
        load(tmp_path)
    (tmp_path / "n01440764").rmdir()
    save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"holds 1 images, but nothing says.*data\.labels"):
        load(tmp_path)
    with pytest.raises(DataError, match=r"data\.path is missing"):
        load_splits(DataConfig(source="imagenet"), MODEL)


def test_a_model_with_other_classes(tmp_path: Path) -> None:
    write_flat(tmp_path)
    with pytest.raises(DataError, match=r"from 1 to 15, .*has 10, 0 to 9"):
        load(tmp_path, model=replace(MODEL, classes=10))
    assert labels_of(load(tmp_path, model=replace(MODEL, classes=None)))[-1] == 15
    with pytest.raises(DataError, match=r"2 to 16 \(with the label offset 1\)"):
        load(tmp_path, model=replace(MODEL, classes=16, label_offset=1))


def test_a_model_without_images_of_its_own() -> None:
    with pytest.raises(DataError, match=r"'auto', but no images belong to .*'path'"):
        load_splits(DataConfig(), MODEL)


# --- digits ---


def test_digits_are_the_scans_that_trained_nothing() -> None:
    recipe = digits.DigitsRecipe()
    images, labels = digits.digits_images(32)
    _, unseen = digits.split_indices(len(labels), recipe)
    splits = load_splits(DataConfig(held_out_images=297), DIGITS_MODEL)
    order = np.random.default_rng(0).permutation(len(unseen))
    for part, drawn in (
        (splits.calibration, order[:100]),
        (splits.evaluation, order[100:500]),
        (splits.held_out, order[500:]),
    ):
        assert part is not None
        assert (part.images == images[unseen[drawn]]).all()
        assert (part.labels == labels[unseen[drawn]]).all()
    assert splits.description == ""


def test_digits_at_the_size_of_resnet() -> None:
    model = replace(DIGITS_MODEL, name="resnet50_v1", image_size=224, preprocessing="caffe")
    few = DataConfig(calibration_images=2, evaluation_images=3)
    images = load_splits(few, model).calibration.images
    assert images.shape == (2, 224, 224, 3)
    assert images.min() == pytest.approx(-123.68)


@pytest.mark.parametrize("package", ["PIL", "sklearn"])
def test_a_missing_package_is_named_with_its_extra(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*nc_sigopt_benchmarks"):
        load_splits(DataConfig(), DIGITS_MODEL)


# --- the assets ---


def test_the_assets_give_the_images_that_they_always_gave(assets: str) -> None:
    model = find_model(ModelConfig(source="assets"))
    config = DataConfig(calibration_images=2, evaluation_images=3)
    splits = load_splits(config, model)
    folder = Path(assets) / "imagenet_sample"
    listing = [line.split() for line in (folder / "val_map.txt").read_text().splitlines()]
    order = np.random.default_rng(0).permutation(len(listing))[:5]
    for position, pixels, label in zip(
        order,
        [*splits.calibration.images, *splits.evaluation.images],
        [*splits.calibration.labels, *splits.evaluation.labels],
        strict=True,
    ):
        name, class_number = listing[position]
        whole = np.asarray(Image.open(folder / name).convert("RGB"), np.float32)
        top, left = ((side - 224) // 2 for side in whole.shape[:2])
        assert (pixels == whole[top : top + 224, left : left + 224] / 127.5 - 1).all()
        assert label == int(class_number) + 1
    assert splits.description == ""


def test_an_accuracy_that_is_known_to_be_higher() -> None:
    model = replace(MODEL, name="mobilenet_v1", source="assets")
    warning = known_accuracy_warning(model, 0.79, 400)
    assert warning is not None
    assert "0.790 on 400 images" in warning
    # Pixels scaled to [0, 1] instead of [-1, 1].
    assert known_accuracy_warning(model, 0.905, 400) is not None
    assert known_accuracy_warning(model, 0.92, 400) is None
    assert known_accuracy_warning(model, 0.79, 99) is None
    assert known_accuracy_warning(MODEL, 0.1, 400) is None
    assert known_accuracy_warning(model, 0.1, 400, DataConfig(source="imagenette")) is None
