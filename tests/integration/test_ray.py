"""``nc-sigopt tune --ray`` for real: Neural Compressor, and a worker that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.cluster.run_state import RunState, Standing
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from nc_sigopt_strategy.results.trial_record import TrialState
from tests.integration.small_onnx import write_small_onnx
from tests.integration.test_compare import PIPELINE, ROOT, write_config
from tests.integration.test_model_job import ONNX_PIPELINE

pytestmark = pytest.mark.integration
pytest.importorskip("ray")
TRIALS = 8


def test_two_workers_one_of_which_is_killed(small_model: Path, tmp_path: Path) -> None:
    strategy = "{name: sigopt, strategy_kwargs: {latency_repeats: 4, patience: 0}}"
    # With trials that take long enough for one to be killed.
    pipeline = PIPELINE.replace("answers = ", "time.sleep(0.3); answers = ")
    config = write_config(tmp_path, small_model, strategy, trials=TRIALS, timeout=0)
    (tmp_path / "pipeline.py").write_text(f"import time\n{pipeline}")
    output = tmp_path / "run"
    options = ("--ray", "--workers", "2", "--resume", str(output))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "nc_sigopt_strategy.cli.main",
            "tune",
            str(config),
            *options,
            "--accept-fp32",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said, victim = [], 0
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line.strip())
        if not victim and line.endswith("evaluated.\n"):
            victim = worker_process(output / "workers" / "worker-1")
            os.kill(victim, signal.SIGKILL)
    text = "\n".join(said)
    assert process.wait() == 0, text
    assert said[-1] == f"Everything about this run: {output}"
    assert "worker-1 failed: its process ended with signal 9" in text
    state = RunState.read(output)
    assert state is not None
    assert state.finished
    assert set(state.workers.values()) == {Standing.DONE}

    trials = read_trials(output)
    assert len(trials) == TRIALS
    assert {trial.worker for trial in trials} <= {"worker-1", "worker-2"}
    assert len({trial.suggestion_id for trial in trials}) == TRIALS
    assert any(trial.state is TrialState.OBSERVED for trial in trials)
    connection = open_embedded(f"sqlite:///{output / 'experiments.sqlite3'}")
    experiment = connection.experiments(state.experiment_id)
    assert experiment.fetch().progress.observation_count == TRIALS
    assert not list(experiment.suggestions().fetch(state="open").iterate_pages())

    outcome = read_outcome(output)
    assert outcome.trials == TRIALS
    assert outcome.best is not None
    assert outcome.stop_reason.startswith(f"The budget of {TRIALS} trials is spent.")
    assert (output / "best_model.pb").stat().st_size > 0
    assert (output / "recipe.json").is_file()
    # Worker 1 has calibrated; the others found its statistics.
    assert list((output / "calibration").iterdir())
    other = read_outcome(output / "workers" / "worker-2").calibration
    assert other is not None
    assert other["passes"] == 0


def test_a_model_and_its_data(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    write_small_onnx(tmp_path / "small.onnx")
    (tmp_path / "data.py").write_text(ONNX_PIPELINE)
    budget = ("--max-trials", "3", "--loss", "0.5", "--set", "latency_repeats=4")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "nc_sigopt_strategy.cli.main", "tune", "small.onnx"),
            "--accept-fp32",
            *("--data", "data.py", *budget, "--ray", "--workers", "1"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SIGOPT_PROJECT": "small"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (output,) = (tmp_path / "runs").iterdir()
    state = RunState.read(output)
    assert state is not None
    assert state.finished
    assert state.target == tmp_path / "small.onnx"
    trials = read_trials(output)
    assert [trial.worker for trial in trials] == ["worker-1"] * 3
    assert trials[0].stored_metrics["nodes"] > 0
    assert read_outcome(output).accuracy_target == 0.5
    assert (output / "best_model.onnx").stat().st_size > 0


def test_a_host_that_takes_a_model_directly(tmp_path: Path) -> None:
    host = "onnxruntime"
    pytest.importorskip(host)
    write_small_onnx(tmp_path / "small.onnx")
    before, _, _ = ONNX_PIPELINE.partition("def eval_func")
    evaluation = """
def eval_func(model):
    from nc_sigopt_strategy import predictor

    answers = np.concatenate([predictor(model)(x)[0].argmax(1) for x, _ in calib_dataloader])
    state.setdefault("fp32", answers)
    return float((answers == state["fp32"]).mean())
"""
    (tmp_path / "data.py").write_text(before + evaluation)
    budget = ("--max-trials", "3", "--loss", "0.5", "--set", "latency_repeats=4")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "nc_sigopt_strategy.cli.main", "tune", "small.onnx"),
            *("--accept-fp32", "--host", host, "--data", "data.py", *budget),
            *("--ray", "--workers", "2"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (output,) = (tmp_path / "runs").iterdir()
    outcome = read_outcome(output)
    assert (outcome.runtime, outcome.trials) == (host, 3)
    assert [trial.number for trial in read_trials(output)] == [1, 2, 3]
    assert (output / str(outcome.files["model"])).stat().st_size > 0
    assert outcome.calibration is not None
    assert outcome.calibration["passes"] == 0, "the first worker's statistics serve the last"


def worker_process(folder: Path) -> int:
    """The process that works in a folder, found by its command line."""
    request = str(folder / "request.json").encode()
    (pid,) = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and request in command_line(entry).split(b"\0")
    ]
    return pid


def command_line(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:  # gone in between
        return b""
