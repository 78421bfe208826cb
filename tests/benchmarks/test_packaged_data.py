"""Text and sentence data that are made here, and agreement with FP32 as the metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_benchmarks.config.run_config import DataConfig, ModelConfig
from nc_sigopt_benchmarks.datasets import agreement, load_splits
from nc_sigopt_benchmarks.datasets.packaged_data import inputs_in, packaged_data
from nc_sigopt_benchmarks.datasets.rendered_text import line_image, page_image, turned
from nc_sigopt_benchmarks.datasets.sentences import sentences
from nc_sigopt_benchmarks.models.benchmark_model import (
    SENTENCES,
    TEXT_DIRECTIONS,
    TEXT_LINES,
    TEXT_PAGES,
    BenchmarkModel,
)
from nc_sigopt_benchmarks.models.find import find_model
from nc_sigopt_benchmarks.models.package_files import package_file
from nc_sigopt_benchmarks.models.packaged_models import PACKAGED_MODELS
from nc_sigopt_strategy.errors import DataError, MissingExtraError, ModelError
from tests.integration.small_onnx import write_small_onnx

FEW = DataConfig(calibration_images=3, evaluation_images=5, batch_size=2)


def model(data: str, path: Path = Path("m.onnx")) -> BenchmarkModel:
    return BenchmarkModel("m", "package", "", path, ("x",), ("y",), data=data)


def test_sentences_are_many_different_and_the_same_each_time() -> None:
    found = sentences()
    assert len(found) == len(set(found)) > 1000
    assert found == sentences()
    assert all(len(sentence.split()) >= 4 for sentence in found)


def test_a_line_is_dark_text_on_light_paper_and_padding() -> None:
    line = line_image(["Words", "that", "fit"], 320, np.random.default_rng(0))
    assert line.shape == (3, 48, 320)
    assert line.min() < -0.3
    assert line.max() > 0.5
    assert not line[:, :, -10:].any()
    long = line_image(["i" * 200], 192, np.random.default_rng(0))
    assert long[:, :, -40:].any()


def test_a_turned_line_is_upside_down_and_padded_at_the_right() -> None:
    line = line_image(["Words"], 320, np.random.default_rng(0))
    assert not turned(line)[:, :, -10:].any()
    assert np.array_equal(turned(turned(line)), line)
    assert not np.array_equal(turned(line), line)


def test_a_page_has_text() -> None:
    page = page_image(["A sentence."] * 20, np.random.default_rng(0))
    assert page.shape == (3, 480, 480)
    assert 0.002 < (page < -0.2).mean() < 0.5


@pytest.mark.parametrize(
    ("data", "shape"),
    [(TEXT_LINES, (3, 48, 320)), (TEXT_DIRECTIONS, (3, 48, 192)), (TEXT_PAGES, (3, 480, 480))],
)
def test_a_loader_starts_anew_and_gives_the_same(data: str, shape: tuple[int, ...]) -> None:
    loader = packaged_data(model(data), FEW).calib_dataloader
    first, second = ([batch for batch, _ in loader] for _ in range(2))
    assert [batch.shape for batch in first] == [(2, *shape), (1, *shape)]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    again = packaged_data(model(data), FEW).calib_dataloader
    assert all(np.array_equal(a, b) for a, (b, _) in zip(first, again, strict=True))
    assert [inputs_in(batch) for batch in first] == [2, 1]


def test_what_does_not_go_with_such_data_is_said() -> None:
    with pytest.raises(
        DataError, match=r"data\.source is 'assets', but the data of m are made here"
    ):
        packaged_data(model(TEXT_LINES), DataConfig(source="assets"))
    with pytest.raises(DataError, match=r"data\.held_out_images is 5"):
        packaged_data(model(SENTENCES), DataConfig(held_out_images=5))
    with pytest.raises(DataError, match="takes text lines, and images are asked for"):
        load_splits(DataConfig(), model(TEXT_LINES))
    with pytest.raises(DataError, match="docstrings has"):
        packaged_data(model(TEXT_LINES), DataConfig(evaluation_images=1_000_000))


def test_texts_are_read_without_repeats_and_blanks() -> None:
    places = [[0, 2, 2, 0, 2, 3], [1, 1, 1, 0, 0, 0]]
    scores = np.eye(4)[np.array(places)]
    assert agreement.read(scores) == [(2, 2, 3), (1,)]
    other = np.eye(4)[np.array([[2, 0, 2, 0, 3, 3], [1, 0, 1, 0, 0, 0]])]
    assert agreement.same_text(scores, other).tolist() == [1.0, 0.0]


def test_masks_vectors_and_classes_agree_as_far_as_they_do() -> None:
    first, second = np.zeros((3, 1, 2, 4)), np.zeros((3, 1, 2, 4))
    first[0, 0, 0], second[0, 0, 0, :2] = 0.9, 0.4
    second[1, 0, 1, 1] = 0.8
    assert agreement.same_mask(first, second).tolist() == [0.5, 0.0, 1.0]
    vectors = np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    others = np.array([[0.0, 2.0], [6.0, 8.0], [1.0, 1.0]])
    assert agreement.cosine(vectors, others).tolist() == [0.0, 1.0, 0.0]
    assert agreement.same_class(vectors[:2], others[:2]).tolist() == [0.0, 1.0]


def test_fp32_agrees_with_itself_and_another_model_less(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = write_small_onnx(tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(16, 3, 12, 12)).astype(np.float32) for _ in range(2)]
    evaluate = agreement.Agreement(path, batches, agreement.same_class)
    other = onnx.load(str(path))
    for tensor in other.graph.initializer:
        turned_round = -onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(turned_round, tensor.name))
    assert evaluate(onnx.load(str(path))) == 1.0
    assert evaluate(other) < 0.9


@pytest.mark.parametrize("name", PACKAGED_MODELS)
def test_a_model_is_there_or_its_package_is_named(
    name: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        found = find_model(ModelConfig(name=name, format="onnx"))
    except MissingExtraError as error:
        pytest.skip(f"the package with it is not installed: {error}")
    assert found.source == "package"
    assert found.path.is_file()
    with pytest.raises(ModelError, match="cannot be turned into a TensorFlow graph"):
        find_model(ModelConfig(name=name))


def test_a_package_that_is_missing_or_lacks_a_file(tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(MissingExtraError, match=r"nowhere.*not installed.*pip install 'x\[y\]'"):
        package_file("nowhere_to_be_found", "w.pth", install="'x[y]'", what="The model nowhere")
    (tmp_path / "a_package_of_files").mkdir()
    (tmp_path / "a_package_of_files" / "__init__.py").write_text("raise SystemExit('was run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelError, match="has no such file"):
        package_file("a_package_of_files", "*.pth", install="it", what="The model")
    (tmp_path / "a_package_of_files" / "w.pth").touch()
    assert package_file("a_package_of_files", "*.pth", install="it", what="It").name == "w.pth"


def test_a_name_with_another_source_says_which() -> None:
    with pytest.raises(ModelError, match=r"'minilm_l6_v2' of the source 'digits'.*to package"):
        find_model(ModelConfig(name="minilm_l6_v2", source="digits"))
    with pytest.raises(ModelError, match=r"'mobilenet_v1' of the source 'package'"):
        find_model(ModelConfig(name="mobilenet_v1", source="package"))
