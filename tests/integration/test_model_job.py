"""``nc-sigopt tune MODEL --data FILE.py`` for real, where the harness is not installed."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from tests.cli.plugged import WITHOUT_HARNESS
from tests.integration.small_onnx import write_small_onnx
from tests.integration.test_compare import PIPELINE, ROOT, only_run
from tests.reports.test_page_server import ask
from tests.reports.test_run_page import data_on
from tests.support.pipeline import pipeline

pytestmark = pytest.mark.integration
ONNX_PIPELINE = pipeline(
    3, 12, 12,
    evaluation="""
def eval_func(model):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    answers = session.run(None, {"input": images})[0].argmax(axis=1)
    state.setdefault("fp32", answers)  # the first call is the baseline's
    return float((answers == state["fp32"]).mean())


def stored_metrics_func(model):
    return {"nodes": len(model.graph.node)}
""",
)  # fmt: skip


def tune(folder: Path, *arguments: str) -> tuple[int, str, str]:
    # Int8 makes so small a model no faster, and that is not what these tests are about.
    return nc_sigopt(folder, "tune", "--accept-fp32", *arguments)


def nc_sigopt(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command line without the harness; exit code, standard output and error."""
    program = f"{WITHOUT_HARNESS}\nfrom nc_sigopt_strategy.cli.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_an_onnx_model(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    write_small_onnx(tmp_path / "small.onnx")
    (tmp_path / "data.py").write_text(ONNX_PIPELINE)
    options = ("--max-trials", "4", "--loss", "0.5", "--set", "latency_repeats=4")
    code, out, err = tune(tmp_path, "small.onnx", "--data", "data.py", *options)
    assert code == 0, err
    assert "sigopt: trial 4 of 4" in err
    folder = only_run(tmp_path)
    assert folder.name.startswith("small-")
    assert f"Run folder: {folder}" in err
    assert out.splitlines()[-1] == f"Everything about this run: {folder}"
    outcome = read_outcome(folder)
    assert outcome.best is not None
    assert outcome.accuracy_target == 0.5
    assert outcome.error is None
    assert outcome.storage == f"sqlite:///{folder / 'experiments.sqlite3'}"
    trials = read_trials(folder)
    assert len(trials) == 4
    assert all(trial.stored_metrics["nodes"] > 0 for trial in trials)
    for name in ("best_model.onnx", "recipe.json", "events.jsonl", "log.txt"):
        assert (folder / name).stat().st_size > 0, name


def test_a_run_can_be_watched_while_it_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    write_small_onnx(tmp_path / "small.onnx")
    waits = ONNX_PIPELINE.replace(
        "    session =", "    __import__('time').sleep(0.5)\n    session ="
    )
    (tmp_path / "data.py").write_text(waits)
    command = (
        "tune", "small.onnx", "--data", "data.py", "--max-trials", "6", "--loss", "0.5",
        "--set", "latency_repeats=4", "--accept-fp32", "--watch", "--json", "-q",
    )  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "nc_sigopt_strategy.cli", *command],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        assert run.stderr is not None
        url = run.stderr.readline().strip().removeprefix("Watch it at ")
        seen = set()
        try:
            while True:
                _, _, page = ask(url)
                if b'id="run-data"' in page:
                    seen.add((len(data_on(page.decode())["trials"]), b'"running":true' in page))
                time.sleep(0.1)
        except (OSError, http.client.HTTPException):
            pass  # it ends with the run, in the middle of an answer, too
        out = run.stdout.read()
    assert run.returncode == 0
    trials = json.loads(out)["outcome"]["trials"]
    assert len(seen) >= 3
    assert (trials, False) in seen, "the last state comes before the end"
    assert {running for _, running in seen} == {True, False}
    page = (only_run(tmp_path) / "report.html").read_text()
    assert data_on(page)["running"] is False
    assert "live_page" not in page


def test_check_tries_one_model_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    write_small_onnx(tmp_path / "small.onnx")
    (tmp_path / "data.py").write_text(ONNX_PIPELINE)
    arguments = ("check", "small.onnx", "--data", "data.py", "--set", "latency_repeats=4")
    code, out, err = nc_sigopt(tmp_path, *arguments)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("FP32: accuracy 1.0000, ")
    assert "the bound of 0.9900" in lines[1]
    assert "of them in 10 minutes" in lines[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.py", "small.onnx"]
    (tmp_path / "data.py").write_text(ONNX_PIPELINE.replace("(64, 3, 12, 12)", "(64, 4, 12, 12)"))
    code, _, err = nc_sigopt(tmp_path, *arguments)
    assert code == 2
    assert "axis 1 has 4 and not 3" in err or "does not fit" in err or "cannot run" in err


def test_a_frozen_graph(tmp_path: Path, small_model: Path) -> None:
    (tmp_path / "data.py").write_text(PIPELINE)
    ends = ("--inputs", "input", "--outputs", "logits")
    options = ("--max-trials", "2", "--loss", "0.5", "--output", str(tmp_path / "runs"))
    code, _, err = tune(tmp_path, str(small_model), "--data", "data.py", *ends, *options)
    assert code == 0, err
    assert (only_run(tmp_path) / "best_model.pb").stat().st_size > 0


def test_the_folder_of_a_saved_model(tmp_path: Path, small_model: Path) -> None:
    import tensorflow as tf

    from nc_sigopt_strategy.backends.tensorflow import read_graph_def

    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(read_graph_def(small_model), name="")
        with tf.compat.v1.Session() as session:
            tf.compat.v1.saved_model.simple_save(
                session,
                str(tmp_path / "saved"),
                {"input": graph.get_tensor_by_name("input:0")},
                {"logits": graph.get_tensor_by_name("logits:0")},
            )
    (tmp_path / "data.py").write_text(PIPELINE)
    options = ("--max-trials", "2", "--loss", "0.5")
    code, _, err = tune(tmp_path, "saved", "--data", "data.py", *options)
    assert code == 0, err
    assert only_run(tmp_path).name.startswith("saved-")


@pytest.mark.parametrize(
    ("content", "ends", "said"),
    [
        (PIPELINE, "absent", "has no op 'absent'. Its placeholders are input and its last op"),
        (PIPELINE.replace("12, 12, 3", "12, 12, 2"), "logits", "axis 3 has 2 and not 3"),
        ("calib_dataloader = 1", "logits", "does not define eval_func"),
    ],
    ids=["op", "shape", "data"],
)
def test_mistakes_show_before_any_tuning(
    content: str, ends: str, said: str, tmp_path: Path, small_model: Path
) -> None:
    (tmp_path / "data.py").write_text(content)
    options = ("--data", "data.py", "--inputs", "input", "--outputs", ends)
    code, _, err = tune(tmp_path, str(small_model), *options)
    assert code == 2
    (line,) = err.strip().splitlines()
    assert line.startswith("nc-sigopt: error: ")
    assert said in line
    assert not (tmp_path / "runs").exists()
