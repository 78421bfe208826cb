"""``nc-sigopt compare`` and ``tune`` for real: Neural Compressor, TensorFlow, processes, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_benchmarks.comparing import compare as comparing
from nc_sigopt_benchmarks.comparing import run_folder
from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_strategy.cli.shared import CRASHED
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.results.run_files import read_outcome
from tests.engine.http_server import serve_driver
from tests.support.pipeline import pipeline

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
# The small model of the shared fixtures, with a pipeline as a user would write it.
PIPELINE = pipeline(
    12, 12, 3,
    evaluation="""
def eval_func(graph):
    import tensorflow as tf

    with tf.compat.v1.Session(graph=graph) as session:
        answers = session.run("logits:0", {"input:0": images}).argmax(axis=1)
    state.setdefault("fp32", answers)  # the first call is the baseline's
    return float((answers == state["fp32"]).mean())
""",
)  # fmt: skip
CONFIG = """
name: small
model: {{name: small, source: path, path: {model}, inputs: [input], outputs: [logits]}}
data: {{python: pipeline.py}}
accuracy_criterion: {{tolerable_loss: {loss}}}
tuning: {{timeout: {timeout}, max_trials: {trials}, shuffle: false}}
strategies: [{strategies}]
timing: {{rounds: 10, trial_seconds: 3}}
"""


def write_config(
    folder: Path,
    model: Path,
    strategies: str,
    *,
    trials: int = 3,
    timeout: int = 60,
    loss: float = 0.5,
) -> Path:
    (folder / "pipeline.py").write_text(PIPELINE)
    path = folder / "small.yaml"
    path.write_text(
        CONFIG.format(
            model=model, strategies=strategies, trials=trials, timeout=timeout, loss=loss
        )
    )
    return path


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
    return subprocess.Popen(
        # Int8 makes so small a model no faster, and that is not what these tests are about.
        [sys.executable, "-m", "nc_sigopt_strategy.cli.main", *arguments, "--accept-fp32"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, folder: Path) -> tuple[int, str, str]:
    process = start(*arguments, folder=folder)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def only_run(folder: Path) -> Path:
    (path,) = (folder / "runs").iterdir()
    return path


def results_of(folder: Path) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((only_run(folder) / "results.json").read_text())
    return raw


def test_another_strategy_can_calibrate_once_too(tmp_path: Path, small_model: Path) -> None:
    once = "{name: basic, label: once, calibration: exact}"
    config = write_config(tmp_path, small_model, f"{{name: basic}}, {once}", trials=2)
    code, _, err = run("compare", str(config), folder=tmp_path)
    assert code == 0, err
    stock, fed = (read_outcome(only_run(tmp_path) / label) for label in ("basic", "once"))
    assert stock.calibration is None
    assert fed.calibration is not None
    assert fed.calibration["passes"] == 1
    assert fed.calibration["fed"] >= 2
    assert stock.best is not None
    assert fed.best is not None
    assert fed.best.accuracy == stock.best.accuracy
    page = (only_run(tmp_path) / "report.html").read_text()
    assert "Calibration: statistics gathered in 1 pass over the data" in page


def test_two_strategies_side_by_side(small_model: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, small_model, "{name: basic}, {name: sigopt}")
    code, out, err = run("compare", str(config), folder=tmp_path)
    assert code == 0, err
    assert "Traceback" not in err
    folder = only_run(tmp_path)
    for name in (
        "results.json",
        "report.html",
        "accuracy_vs_latency.png",
        "best_latency_vs_trials.png",
        "trials.jsonl",
        "best_model.pb",
        "recipe.json",
        "basic/log.txt",
        "sigopt/outcome.json",
    ):
        assert (folder / name).stat().st_size > 0, name
    results = results_of(tmp_path)
    by_label = {strategy["label"]: strategy for strategy in results["strategies"]}
    for label in ("basic", "sigopt"):
        strategy = by_label[label]
        assert strategy["outcome"]["found"], strategy
        assert strategy["outcome"]["baseline_accuracy"] == 1.0
        assert len(strategy["timed"]["samples"]) == 10
        assert 1 <= len(strategy["trials"]) <= 3
        assert strategy["outcome"]["files"]["model"] == "best_model.pb"
        assert strategy["outcome"]["best"]["model_path"] == f"{label}/best_model.pb"
        records = [*strategy["trials"], strategy["outcome"]["best"]]
        paths = [record["model_path"] for record in records if record["model_path"]]
        assert all((folder / path).is_file() for path in paths)
        assert f"{label} " in out
    assert any(trial["latency_seconds"] for trial in by_label["basic"]["trials"])
    lines = (folder / "trials.jsonl").read_text().splitlines()
    assert {json.loads(line)["strategy"] for line in lines} == {"basic", "sigopt"}
    # Nothing of Neural Compressor's lands where the user stands.
    assert not (tmp_path / "nc_workspace").exists()


def test_a_strategy_that_crashes_does_not_stop_the_others(
    small_model: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, small_model, "{name: basic, label: doomed}, {name: basic}")
    doom = '    import sys\n    if "doomed" in sys.argv[-1]:\n        raise RuntimeError("boom")\n'
    head = "def eval_func(graph):\n"
    (tmp_path / "pipeline.py").write_text(PIPELINE.replace(head, head + doom))
    code, out, err = run("compare", str(config), folder=tmp_path)
    assert code == 0, err
    doomed, sound = results_of(tmp_path)["strategies"]
    assert "boom" in doomed["failure"]
    assert "doomed crashed: RuntimeError('boom')" in " ".join(out.split())
    assert sound["outcome"]["found"]


def test_where_ones_own_code_ended_all_strategies_the_traceback_leads_to_it(
    small_model: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, small_model, "{name: sigopt}, {name: basic}")
    head = "def eval_func(graph):\n"
    broken = PIPELINE.replace(head, f'{head}    raise KeyError("no such label")\n')
    (tmp_path / "pipeline.py").write_text(broken)
    code, _, err = run("compare", str(config), "-v", folder=tmp_path)
    assert code == CRASHED, err
    assert "Start basic tuning." in err, "what the runs log, by -v"
    line = 1 + broken.splitlines().index('    raise KeyError("no such label")')
    assert f'File "{tmp_path / "pipeline.py"}", line {line}, in eval_func' in err
    assert "nc-sigopt: error: sigopt: " in err
    crashes = [strategy["crash"] for strategy in results_of(tmp_path)["strategies"]]
    assert all("no such label" in crash for crash in crashes)
    code, _, err = run(
        "compare", str(config), "--resume", str(only_run(tmp_path)), folder=tmp_path
    )
    assert code == CRASHED, err


def test_no_token_is_in_the_run_folder(small_model: Path, tmp_path: Path) -> None:
    token = "SECRETSECRETSECRET0123456789"
    driver = EmbeddedDriver(f"sqlite:///{tmp_path}/server.sqlite3")
    driver.request("POST", ["clients", "1", "projects"], {"id": "int8", "name": "int8"}, None)
    with serve_driver(driver, token=token) as url:
        kwargs = f"sigopt_api_token: {token}, sigopt_api_url: '{url}', sigopt_project_id: int8"
        config = write_config(
            tmp_path,
            small_model,
            f"{{name: basic}}, {{name: sigopt, strategy_kwargs: {{{kwargs}}}}}",
        )
        code, out, err = run("compare", str(config), folder=tmp_path)
    driver.close()
    assert code == 0, err
    assert all(strategy["outcome"]["found"] for strategy in results_of(tmp_path)["strategies"])
    assert token not in out + err
    files = [path for path in only_run(tmp_path).rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if token.encode() in path.read_bytes()]


def test_wrong_use_that_only_the_worker_meets_exits_with_2(
    small_model: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, small_model, "{name: basic}, {name: mse}")
    doom = '\nimport sys\nif "worker" in sys.argv[0]:\n    calib_dataloader = []\n'
    (tmp_path / "pipeline.py").write_text(PIPELINE + doom)
    code, out, err = run("compare", str(config), folder=tmp_path)
    assert code == 2, err
    said = " ".join(out.split())
    assert "basic cannot be used: DataError" in said
    assert ".." not in said.replace("...", "")
    assert (only_run(tmp_path) / "report.html").exists()


def test_a_timing_that_fails_costs_only_the_timing(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no kernel.")

    monkeypatch.setattr(comparing, "time_side_by_side", broken)
    config = write_config(tmp_path, small_model, "{name: basic}", trials=1)
    comparison, folder = comparing.compare(read_config(config), lambda line: None, progress=False)
    assert comparison.found
    assert "not all timed side by side: no kernel." in " ".join(comparison.verdicts)
    assert (folder / "report.html").exists()


def test_a_run_folder_that_cannot_be_written_costs_only_its_files(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder, "write_whole", full)
    config = write_config(tmp_path, small_model, "{name: basic}", trials=1)
    said: list[str] = []
    comparison, folder = comparing.compare(read_config(config), said.append, progress=False)
    assert comparison.found
    assert [line for line in said if "No space left" in line and str(folder) in line]


def test_a_bound_that_nothing_meets_exits_with_1(small_model: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, small_model, "{name: basic}", trials=2, loss=0.1)
    line = '    return float((answers == state["fp32"]).mean())\n'
    worse = '    state["calls"] = state.get("calls", 0) + 1\n    return 0.75 ** state["calls"]\n'
    (tmp_path / "pipeline.py").write_text(PIPELINE.replace(line, worse))
    code, out, err = run("compare", str(config), folder=tmp_path)
    assert code == 1, err
    assert "none in" in out
    outcome = read_outcome(only_run(tmp_path) / "basic")
    assert outcome.nearest_miss is not None
    assert outcome.nearest_miss.accuracy == 0.75**2
    assert not (only_run(tmp_path) / "best_model.pb").exists()


def test_tune_with_a_stock_strategy(small_model: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, small_model, "{name: basic}", trials=2)
    code, out, err = run("tune", str(config), folder=tmp_path)
    assert code == 0, err
    assert "basic: trial 2 of 2" in err
    assert "met the bound?" in out
    assert (only_run(tmp_path) / "recipe.json").exists()


def test_ctrl_c_keeps_what_is_there(small_model: Path, tmp_path: Path) -> None:
    config = write_config(
        tmp_path, small_model, "{name: basic}, {name: sigopt}", trials=500, timeout=300
    )
    process = start("compare", str(config), folder=tmp_path)
    try:
        _wait_for_trials(tmp_path, 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    results = results_of(tmp_path)
    assert results["interrupted"]
    assert [strategy["label"] for strategy in results["strategies"]] == ["basic"]
    assert len(results["strategies"][0]["trials"]) >= 2
    assert results["strategies"][0]["outcome"]["stop_reason"] == "It was interrupted."
    assert "basic" in out


def _wait_for_trials(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for path in folder.glob("runs/*/basic/events.jsonl"):
            if len(path.read_text().splitlines()) > count:
                return
        time.sleep(0.2)
    pytest.fail(f"no {count} trials within 300 s")


def test_stock_timeout_ends_a_comparison_that_runs_in_the_background(
    small_model: Path, tmp_path: Path
) -> None:
    """A shell's background jobs, and nohup, start their programs with SIGINT ignored."""
    config = write_config(tmp_path, small_model, "{name: basic}", trials=5000, timeout=6)
    slow = "\nimport time\nfast = eval_func\ndef eval_func(model):\n    time.sleep(2)\n"
    with (tmp_path / "pipeline.py").open("a") as pipeline:
        pipeline.write(f"{slow}    return fast(model)\n")
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start("compare", str(config), folder=tmp_path)
    finally:
        signal.signal(signal.SIGINT, ignored)
    _, err = process.communicate(timeout=300)
    assert process.returncode in (0, 1), err
    outcome = results_of(tmp_path)["strategies"][0]["outcome"]
    # 6 s are three evaluations; without a timeout basic goes through its whole list of trials.
    assert 1 <= outcome["trials"] <= 4
