"""The example: a real accuracy, a model as others are, and the files to go on with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nc_sigopt_strategy import predictor, write_example
from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.cli.shared import FOUND, WRONG_USE
from nc_sigopt_strategy.errors import ConfigFileError, MissingExtraError

pytest.importorskip("sklearn")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_it_reads_digits_that_it_was_not_fitted_to(tmp_path: Path) -> None:
    path = tmp_path / "new" / "digits.onnx"
    images, labels = write_example(path)
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    assert images.shape == (797, 1, 16, 16)
    assert (images.min(), images.max(), images.dtype) == (0, 1, "float32")
    answers = predictor(model)(images)[0]
    assert (answers.argmax(axis=1) == labels).mean() > 0.94


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigFileError, match=r"digits\.onnx: .*Name another place"):
        write_example(tmp_path / "file" / "digits.onnx")


def test_without_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match="pip install 'scikit-learn'"):
        write_example(tmp_path / "digits.onnx")


def test_init_writes_model_and_data_that_tune_as_they_are(tmp_path: Path) -> None:
    said = CliRunner().invoke(cli, ["init", "--example", "--output", str(tmp_path)])
    assert said.exit_code == FOUND, said.output
    model, data = tmp_path / "digits.onnx", tmp_path / "pipeline.py"
    assert said.output.endswith(f"nc-sigopt check {model} --data {data}\n")
    assert "TODO" not in data.read_text()
    checked = CliRunner().invoke(cli, ["check", str(model), "--data", str(data), "--json"])
    assert checked.exit_code == FOUND, checked.output
    figures = json.loads(checked.stdout)
    assert figures["int8_meets_bound"]
    assert figures["evaluated_inputs"] == 697


def test_init_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text("mine")
    said = CliRunner().invoke(cli, ["init", "--example", "--output", str(tmp_path)])
    assert (said.exit_code, "--force" in said.output) == (WRONG_USE, True)
    assert not (tmp_path / "digits.onnx").exists()


@pytest.mark.parametrize(("given", "word"), [((), "neither"), (("--example", "a.onnx"), "both")])
def test_a_model_or_the_example(given: tuple[str, ...], word: str) -> None:
    said = CliRunner().invoke(cli, ["init", *given])
    assert (said.exit_code, f"got {word}" in said.output) == (WRONG_USE, True)
