"""From a model to a faster one with Neural Compressor 3, by ``autotune`` and by ``nc-sigopt``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nc_sigopt_strategy as ncs
from nc_sigopt_strategy.errors import UnsupportedVersionError
from nc_sigopt_strategy.hosts.find import INC3, named_host
from nc_sigopt_strategy.results.run_files import read_outcome
from tests.conftest import INPUT_NAME, OUTPUT_NAME, Loader
from tests.support.pipeline import pipeline

if not named_host(INC3).is_installed:
    pytest.skip("There is no Neural Compressor 3.8 or newer.", allow_module_level=True)

import tensorflow as tf

ROOT = Path(__file__).parents[3]
ENDS = {"inputs": INPUT_NAME, "outputs": OUTPUT_NAME}


def graph_def_of(path: Path) -> Any:
    return tf.compat.v1.GraphDef.FromString(path.read_bytes())


def tuned(model: Any, folder: Path, accuracy: Any, loader: Any, **more: Any) -> Any:
    return ncs.autotune(
        model,
        eval_fn=accuracy,
        calib_dataloader=loader,
        tolerable_loss=0.9,
        max_trials=3,
        host="inc3",
        output_dir=folder,
        latency_repeats=4,
        **more,
    )


def test_a_frozen_graph(
    small_model: Path, small_loader: Any, small_accuracy: Any, tmp_path: Path
) -> None:
    result = tuned(small_model, tmp_path / "run", small_accuracy, small_loader, **ENDS)
    assert result.found
    assert result.runtime == "inc3"
    assert isinstance(result.model, tf.Graph)
    assert small_accuracy(result.model) >= result.outcome.accuracy_target
    assert result.outcome.calibration["passes"] == 1
    saved = result.save(tmp_path / "best.pb")
    assert graph_def_of(saved).node
    # Neural Compressor by itself leaves a folder where the user works.
    assert not list(Path.cwd().glob("nc_workspace"))


@pytest.mark.parametrize("form", ["graph", "graph_def"])
def test_a_graph_in_memory(
    form: str, small_model: Path, small_loader: Any, small_accuracy: Any, tmp_path: Path
) -> None:
    given: Any = graph_def_of(small_model)
    before = given.SerializeToString(deterministic=True)
    model = given
    if form == "graph":
        model = tf.Graph()
        with model.as_default():
            tf.import_graph_def(given, name="")
    result = tuned(model, tmp_path / "run", small_accuracy, small_loader, **ENDS)
    assert result.found
    assert given.SerializeToString(deterministic=True) == before


def test_a_saved_model(tmp_path: Path, small_data: Any) -> None:
    rng = np.random.default_rng(1)
    module = tf.Module()
    module.kernel = tf.Variable(rng.normal(scale=0.4, size=(3, 3, 3, 8)).astype(np.float32))
    module.dense = tf.Variable(rng.normal(size=(8, 4)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 12, 12, 3], tf.float32, name="image")])
    def call(image: Any) -> Any:
        features = tf.nn.relu(tf.nn.conv2d(image, module.kernel, 1, "SAME"))
        return {"scores": tf.matmul(tf.reduce_mean(features, [1, 2]), module.dense)}

    module.call = call
    folder = tmp_path / "saved"
    tf.saved_model.save(module, str(folder), signatures=call)
    expected = np.asarray(call(small_data[0])["scores"]).argmax(axis=1)

    def accuracy(model: Any) -> float:
        return float((ncs.predictor(model)(small_data[0])[0].argmax(axis=1) == expected).mean())

    result = tuned(folder, tmp_path / "run", accuracy, Loader(*small_data))
    assert result.outcome.baseline_accuracy == 1.0
    assert result.found


def test_the_commands(small_model: Path, tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text(pipeline(12, 12, 3))
    options = ("--data", "data.py", "--loss", "50%", "--set", "latency_repeats=4")
    names = ("--inputs", INPUT_NAME, "--outputs", OUTPUT_NAME)

    def nc_sigopt(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "nc_sigopt_strategy.cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    model = str(small_model)
    code, out, err = nc_sigopt("check", model, "--host", "inc3", *options, *names)
    assert code == 0, err
    assert out.startswith("FP32: accuracy 1.0000, ")
    # Without --host it is the one that is installed.
    code, _, err = nc_sigopt("tune", model, *options, *names, "--max-trials", "3", "--accept-fp32")
    assert code == 0, err
    (folder,) = (tmp_path / "runs").iterdir()
    assert read_outcome(folder).found
    assert json.loads((folder / "run.json").read_text())["versions"]["neural-compressor"]
    code, _, err = nc_sigopt("tune", model, "--host", "inc3", *options)
    assert code == 2
    assert "--inputs is missing" in err
    code, _, err = nc_sigopt("tune", model, "--host", "inc", *options, *names)
    assert code == 2
    assert "host='inc3'" in err


def test_the_package_beside_it_is_silent_until_somebody_asks() -> None:
    code = (
        "import nc_sigopt_strategy as ncs, neural_compressor\n"
        "for use in (ncs.register, lambda: ncs.SigOptTuneStrategy,\n"
        "            lambda: ncs.PostTrainingQuantConfig):\n"
        "    try:\n        use()\n"
        "    except ImportError as error:\n        print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(UnsupportedVersionError.__name__) for line in lines)
    assert all("host='inc3'" in line for line in lines)


def test_mobilenet(assets: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(scale=0.5, size=(8, 224, 224, 3)).astype(np.float32)
    kept: dict[str, Any] = {}

    def accuracy(model: Any) -> float:
        logits = ncs.predictor(model)(images)[0]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        answers = powers / powers.sum(axis=1, keepdims=True)
        kept.setdefault("fp32", answers)
        return 1.0 - float(np.abs(answers - kept["fp32"]).sum(axis=1).mean()) / 2

    result = tuned(
        Path(assets) / "mobilenet_v1_1.0_224_frozen.pb",
        tmp_path / "run",
        accuracy,
        Loader(images, np.zeros(8), 4),
        inputs="input",
        outputs="MobilenetV1/Predictions/Reshape",
    )
    outcome = result.outcome
    assert result.found
    assert outcome.trials == 3
    assert outcome.calibration["passes"] == 1
    assert not outcome.calibration["stock"]
