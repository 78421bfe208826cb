"""Everything but Neural Compressor's own host works where it is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nc_sigopt_strategy.results.run_files import read_outcome
from tests.support.pipeline import pipeline

ROOT = Path(__file__).parents[1]
# As in an environment of [onnxruntime,openvino]: what these would find is not there.
WITHOUT = """
import importlib.metadata, sys
GONE = ("neural_compressor", "tensorflow", "pkg_resources", "nc_sigopt_benchmarks")

class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in GONE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Gone())
version = importlib.metadata.version

def without(name):
    if name in ("neural_compressor", "neural-compressor"):
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.metadata.version = without
"""


def python(folder: Path, code: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{WITHOUT}\n{code}", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def nc_sigopt(folder: Path, *arguments: str) -> tuple[int, str, str]:
    return python(folder, "from nc_sigopt_strategy.cli.main import main\nmain()", *arguments)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime")
    from tests.integration.small_onnx import write_small_onnx

    (tmp_path / "data.py").write_text(pipeline(3, 12, 12))
    return write_small_onnx(tmp_path / "small.onnx")


def host_of(name: str) -> str:
    if name != "onnxruntime":
        pytest.importorskip("openvino")
        pytest.importorskip("nncf")
    return name


def test_the_package_is_imported_and_says_what_is_missing(tmp_path: Path) -> None:
    code = (
        "import nc_sigopt_strategy as ncs\n"
        "ncs.autotune; ncs.predictor; ncs.TuningResult\n"
        "for use in (ncs.register, lambda: ncs.SigOptTuneStrategy):\n"
        "    try:\n        use()\n"
        "    except ImportError as error:\n        print(error)\n"
    )
    code_, out, err = python(tmp_path, code)
    assert code_ == 0, err
    assert "pip install 'nc_sigopt_strategy[inc]'" in out
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize("host", ["onnxruntime", "openvino"])
def test_tune_and_check(small: Path, host: str) -> None:
    options = ("small.onnx", "--data", "data.py", "--host", host_of(host), "--loss", "0.5")
    quick = ("--set", "latency_repeats=4")
    code, out, err = nc_sigopt(small.parent, "check", *options, *quick)
    assert code == 0, err
    assert out.startswith("FP32: accuracy 1.0000, ")
    assert not (small.parent / "runs").exists()
    code, out, err = nc_sigopt(
        small.parent, "tune", *options, *quick, "--max-trials", "4", "--accept-fp32"
    )
    assert code == 0, err
    (folder,) = (small.parent / "runs").iterdir()
    outcome = read_outcome(folder)
    assert outcome.best is not None
    assert outcome.error is None
    suffix = {"onnxruntime": "onnx", "openvino": "xml"}[host]
    for name in (f"best_model.{suffix}", "recipe.json", "trials.jsonl", "events.jsonl", "log.txt"):
        assert (folder / name).stat().st_size > 0, name
    assert json.loads((folder / "recipe.json").read_text())


def test_an_onnx_model_is_tuned_for_onnx_runtime_unless_told_otherwise(small: Path) -> None:
    options = ("--data", "data.py", "--loss", "0.5", "--max-trials", "2", "--accept-fp32")
    code, _, err = nc_sigopt(small.parent, "tune", "small.onnx", *options)
    assert code == 0, err
    code, _, err = nc_sigopt(small.parent, "tune", "small.onnx", *options, "--host", "inc")
    assert code == 2
    (line,) = err.strip().splitlines()
    assert "host='inc' needs neural_compressor" in line
    assert "pip install 'nc_sigopt_strategy[inc]'" in line


def test_every_runtime_from_the_command_line(small: Path) -> None:
    host_of("openvino")
    options = ("--data", "data.py", "--loss", "0.5", "--max-trials", "8", "--accept-fp32")
    auto = ("--host", "auto", "--set", "latency_repeats=4")
    code, out, err = nc_sigopt(small.parent, "tune", "small.onnx", *options, *auto)
    assert code == 0, err
    assert "onnxruntime: FP32" in out
    assert "openvino: FP32" in out
    assert "<- the fastest that meets the bound" in out
    (folder,) = (small.parent / "runs").iterdir()
    assert "The fastest that meets the bound" in read_outcome(folder).verdict
    assert list(folder.glob("best_model.*"))
    assert (folder / "report.txt").read_text().count("FP32, accuracy") == 2
    for host in ("onnxruntime", "openvino"):
        assert read_outcome(folder / host).trials > 0


def test_checking_every_runtime(small: Path) -> None:
    host_of("openvino")
    code, out, err = nc_sigopt(
        small.parent, "check", "small.onnx", "--data", "data.py", "--host", "auto"
    )
    assert code == 0, err
    titles = [line for line in out.splitlines() if line.endswith(":")]
    assert titles == ["onnxruntime:", "openvino:"]
    assert out.count("Default int8: accuracy") == 2


def test_workers_join_an_experiment(small: Path) -> None:
    store = f"sqlite:///{small.parent / 'store.sqlite3'}"
    options = ("small.onnx", "--data", "data.py", "--loss", "0.5", "--accept-fp32")
    shared = ("--storage", store, "--workers", "2", "--set", "patience=0")
    code, _, err = nc_sigopt(
        small.parent, "tune", *options, *shared, "--max-trials", "3", "--worker", "one"
    )
    assert code == 0, err
    (folder,) = (small.parent / "runs").iterdir()
    experiment = json.loads((folder / "experiment.json").read_text())["experiment_id"]
    code, _, err = nc_sigopt(
        small.parent,
        "tune",
        *options,
        *shared,
        *("--max-trials", "4", "--worker", "two", "--join", experiment),
    )
    assert code == 0, err
    (other,) = (path for path in (small.parent / "runs").iterdir() if path != folder)
    outcome = read_outcome(other)
    assert outcome.trials == 4
    assert set(outcome.trials_by_worker) == {"one", "two"}


def test_workers_do_not_go_with_every_runtime(small: Path) -> None:
    code, _, err = nc_sigopt(
        small.parent, "tune", "small.onnx", "--data", "data.py", "--host", "auto", "--workers", "2"
    )
    assert code == 2
    assert "--workers 2 does not go with --host auto" in err
