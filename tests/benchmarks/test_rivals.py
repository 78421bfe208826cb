"""Rivals: models in processes of their own, environments, and what ONNX Runtime makes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from nc_sigopt_benchmarks.running.rivals.task import Built, RivalTask
from nc_sigopt_benchmarks.running.rivals.worker import main
from nc_sigopt_benchmarks.runtimes.data_files import CALIBRATION, EVALUATION, DataFiles
from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_benchmarks.runtimes.installed import lacking
from nc_sigopt_benchmarks.runtimes.opened import open_deployed
from nc_sigopt_benchmarks.runtimes.served_model import ServedModel
from nc_sigopt_strategy.errors import ModelError
from tests.conftest import INPUT_NAME, OUTPUT_NAME
from tests.integration.small_onnx import write_small_onnx


@pytest.fixture
def model(tmp_path: Path) -> Deployed:
    return Deployed("onnxruntime", write_small_onnx(tmp_path / "small.onnx"), threads=1)


@pytest.fixture
def data(model: Deployed, tmp_path: Path) -> DataFiles:
    """Images whose labels are what the FP32 model says of them, but for every tenth."""
    files = DataFiles(tmp_path, None, 8, 20)
    images = np.random.default_rng(1).normal(size=(60, 3, 12, 12)).astype(np.float32)
    labels = open_deployed(model).run(images)[0].argmax(axis=1)
    labels[::10] = (labels[::10] + 1) % 4
    files.write(CALIBRATION, images[:20], labels[:20])
    files.write(EVALUATION, images[20:], labels[20:])
    return files


def task(name: str, model: Deployed, data: DataFiles, folder: Path, target: float) -> RivalTask:
    folder.mkdir()
    return RivalTask(name, {}, model, data, target, True, 0.01, True, 60, folder)


def built(asked: RivalTask) -> Built:
    code = main([str(asked.write())])
    found = Built.read(asked.folder)
    assert code == 0
    assert found is not None
    return found


def test_a_model_answers_from_its_own_process(
    model: Deployed, data: DataFiles, tmp_path: Path
) -> None:
    with ServedModel(model, data, tmp_path / "log") as served:
        assert served.version
        wall, cpu = served.seconds(3)
        assert wall > 0
        assert cpu >= 0
        right = served.right(EVALUATION)
        assert served.accuracy() == right.mean() == 0.9
        with pytest.raises(ModelError, match="KeyError"):
            served._ask(do="fly")
        assert served.seconds(50)[0] > 0  # more than there are: over again


def test_what_cannot_be_opened_says_why(model: Deployed, data: DataFiles, tmp_path: Path) -> None:
    model.path.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"small\.onnx cannot be opened in onnxruntime"):
        ServedModel(model, data, tmp_path / "log")


def test_an_environment_that_is_not_there(
    model: Deployed, data: DataFiles, tmp_path: Path
) -> None:
    gone = Deployed("onnxruntime", model.path, python=str(tmp_path / "none" / "python"))
    with pytest.raises(ModelError, match="cannot be started"):
        ServedModel(gone, data, tmp_path / "log")
    assert "is no Python that starts" in (lacking(["json"], tmp_path / "none") or "")


@pytest.mark.parametrize("python", [None, Path(sys.executable)])
def test_what_is_not_installed_says_how_to_install_it(python: Path | None) -> None:
    assert lacking(["json", "numpy"], python) is None
    said = lacking(["json", "no_such_module", "nor_this"], python)
    assert said is not None
    assert said.startswith("not installed: ")
    assert said.endswith("pip install no_such_module nor_this")


def test_static_quantization_leaves_a_model_of_int8(
    model: Deployed, data: DataFiles, tmp_path: Path
) -> None:
    import onnx

    found = built(task("onnxruntime_static", model, data, tmp_path / "run", 0.9))
    (made,) = found.models
    assert made.threads == 1
    assert {"QuantizeLinear"} <= {node.op_type for node in onnx.load(str(made.path)).graph.node}
    assert found.seconds > 0
    assert {path.name for path in made.path.parent.iterdir()} == {
        *("best_model.onnx", "built.json", "request.json", "usage.json"),
    }


def test_excluding_goes_on_until_the_bound_is_met(
    model: Deployed, data: DataFiles, tmp_path: Path
) -> None:
    import onnx

    easy = built(task("onnxruntime_debug", model, data, tmp_path / "easy", 0.1)).models[0]
    assert "layers out" not in easy.what
    # More than FP32 itself gets: everything is left out in the end, and still it is missed.
    hard = built(task("onnxruntime_debug", model, data, tmp_path / "hard", 0.99))
    assert "was not met when all layers were out" in hard.note
    kinds = [
        sum(node.op_type == "QuantizeLinear" for node in onnx.load(str(path)).graph.node)
        for path in (easy.path, hard.models[0].path)
    ]
    assert kinds[0] > 0
    assert "optimization.disable_specified_optimizers" in str(easy.options)


def test_a_rival_that_fails_tells_its_parent(
    model: Deployed, data: DataFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = task("onnxruntime_static", model, data, tmp_path / "run", 0.9)
    model.path.unlink()
    assert main([str(asked.write())]) == 1
    error = json.loads((asked.folder / "error.json").read_text())
    assert error["message"]


@pytest.mark.integration
def test_tensorflow_rewrites_in_bf16(small_model: Path) -> None:
    images = np.random.default_rng(1).normal(size=(4, 12, 12, 3)).astype(np.float32)
    ends = {"inputs": (INPUT_NAME,), "outputs": (OUTPUT_NAME,)}
    found = [
        open_deployed(Deployed("tensorflow", small_model, options=options, **ends)).run(images)[0]
        for options in ({}, {"bf16": True})
    ]
    assert 0 < np.abs(found[0] - found[1]).max() < 0.1 * np.abs(found[0]).max()
