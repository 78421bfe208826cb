"""``nc-sigopt``: help, exit codes, and one clear line for each wrong use."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.cli.shared import FOUND, INTERRUPTED, NOTHING_FOUND, WRONG_USE
from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.client.projects import ensure_project
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.lease import Worker
from nc_sigopt_strategy.experiments.opening import create_on
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.version import __version__
from tests.cli.plugged import plug_in


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def wrong_use(*arguments: str) -> str:
    """Standard error of a wrong use: one line, exit code 2, no traceback."""
    process = subprocess.run(
        [sys.executable, "-m", "nc_sigopt_strategy.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=_environment(),
    )
    assert process.returncode == WRONG_USE, process.stderr
    assert "Traceback" not in process.stderr
    lines = process.stderr.strip().splitlines()
    assert len(lines) == 1, process.stderr
    assert lines[0].startswith("nc-sigopt: error: ")
    return lines[0]


def _environment() -> dict[str, str]:
    import os

    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root), str(root / "benchmarks")])
    return {**os.environ, "PYTHONPATH": path}


def config(folder: Path, text: str) -> str:
    path = folder / "run.yaml"
    path.write_text(text)
    return str(path)


def outcome(found: bool) -> Outcome:
    trial = TrialRecord(number=1, state=TrialState.OBSERVED, accuracy=0.9, meets_bound=found)
    return Outcome(
        strategy="sigopt",
        found=found,
        stop_reason="The time is up.",
        best=trial if found else None,
        nearest_miss=None if found else trial,
    )


class FakeJob:
    """A job whose run takes no time; it notes what it is told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "any.fake"
        self.name = "any"
        self.strategy = "sigopt"
        self.output = folder / "runs"
        self.options = JobOptions()
        self.told: list[Any] = []
        self.end = RunEnd(outcome(True), False)
        self.error: BaseException | None = None

    def with_kwargs(self, kwargs: Any) -> FakeJob:
        self.told.append(kwargs)
        return self

    def prepare(self, tell: Any) -> FakeJob:
        return self

    def run(self, folder: Path, *, progress: bool | None) -> RunEnd:
        if self.error is not None:
            raise self.error
        return self.end


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeJob:
    """What files of the suffix .fake name, as another package would plug it in."""
    made = FakeJob(tmp_path)
    module = ModuleType("fake_jobs")
    module.read = lambda path, options: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_jobs", module)
    plug_in(tmp_path / "plugged", "[nc_sigopt.jobs]\nfake = fake_jobs:read\n")
    monkeypatch.syspath_prepend(tmp_path / "plugged")
    return made


def test_version() -> None:
    assert __version__ in invoke("--version").output


@pytest.mark.parametrize("command", [(), ("tune",), ("compare",), ("experiments",)])
def test_help_says_more_than_the_usage(command: tuple[str, ...]) -> None:
    result = invoke(*command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 6


def test_help_does_not_import_the_heavy_packages() -> None:
    code = (
        "import sys, nc_sigopt_strategy.cli.main\n"
        "heavy = {'tensorflow', 'neural_compressor', 'sigopt', 'optuna', 'matplotlib'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], env=_environment(), stderr=subprocess.PIPE, check=False
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("found", "code"), [(True, FOUND), (False, NOTHING_FOUND)], ids=["found", "none"]
)
def test_tune_exits_by_what_it_found(found: bool, code: int, job: FakeJob) -> None:
    job.end = RunEnd(outcome(found), False)
    result = invoke("tune", "any.fake")
    assert result.exit_code == code
    assert "The time is up." in result.output


def test_an_unexpected_exception_is_not_hidden(job: FakeJob) -> None:
    job.error = ZeroDivisionError()
    assert isinstance(invoke("tune", "any.fake").exception, ZeroDivisionError)


def test_an_interrupted_tune_shows_what_it_found(job: FakeJob) -> None:
    job.end = RunEnd(outcome(True), True)
    result = invoke("tune", "any.fake")
    assert result.exit_code == INTERRUPTED
    assert "yes, trial 1" in result.output


def test_ctrl_c_exits_with_130(job: FakeJob) -> None:
    job.error = KeyboardInterrupt()
    assert invoke("tune", "any.fake").exit_code == INTERRUPTED


def test_an_unknown_key(tmp_path: Path) -> None:
    path = config(tmp_path, "strategies: [{name: sigopt}]\ntuning:\n  time_out: 3\n")
    line = wrong_use("compare", path)
    assert f"{path}, line 3: tuning.time_out is not a known key" in line
    assert "'timeout'" in line


def test_a_wrong_type(tmp_path: Path) -> None:
    path = config(tmp_path, "strategies: [{name: sigopt}]\ntuning: {timeout: [1]}\n")
    assert "tuning.timeout is a list. It must be a whole number." in wrong_use("tune", path)


def test_an_unknown_strategy(tmp_path: Path) -> None:
    path = config(tmp_path, "strategies: [{name: basics}]\n")
    assert "Did you mean 'basic'?" in wrong_use("tune", path)


def test_a_missing_configuration(tmp_path: Path) -> None:
    assert "nowhere.yaml cannot be read" in wrong_use("compare", str(tmp_path / "nowhere.yaml"))


def test_a_missing_model(tmp_path: Path) -> None:
    path = config(
        tmp_path,
        "model: {source: path, path: net.pb, inputs: [x], outputs: [y]}\n"
        "data: {python: p.py}\nstrategies: [{name: basic}]\n",
    )
    assert f"The model {tmp_path / 'net.pb'} does not exist." in wrong_use("compare", path)


def test_a_wrong_key_for_the_strategy_shows_before_any_tuning(tmp_path: Path) -> None:
    path = config(
        tmp_path, "strategies: [{name: sigopt, strategy_kwargs: {sigopt_expriment_name: x}}]\n"
    )
    line = wrong_use("compare", path)
    assert "sigopt_expriment_name" in line
    assert "sigopt_experiment_name" in line


def test_tune_needs_to_know_which_strategy(tmp_path: Path) -> None:
    path = config(tmp_path, "strategies: [{name: basic}, {name: mse}]\n")
    assert "lists basic, mse" in wrong_use("tune", path)


def test_a_server_that_does_not_answer_shows_before_any_tuning(
    tmp_path: Path,
) -> None:
    path = config(
        tmp_path,
        "strategies:\n- name: sigopt\n  strategy_kwargs: {sigopt_api_token: TOPSECRET, "
        "sigopt_api_url: 'http://127.0.0.1:9'}\n",
    )
    line = wrong_use("compare", path)
    assert "http://127.0.0.1:9 cannot be reached" in line
    assert "TOPSECRET" not in line
    assert not (tmp_path / "runs").exists()


def test_an_experiment_to_continue_that_is_not_there(tmp_path: Path) -> None:
    path = config(
        tmp_path,
        "strategies: [{name: sigopt, strategy_kwargs: {sigopt_experiment_id: 7, "
        f"storage: 'sqlite:///{tmp_path / 'store.sqlite3'}'}}}}]\n",
    )
    assert "There is no experiment '7'" in wrong_use("tune", path)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with one experiment: one trial observed, one failed."""
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    connection = open_embedded(url)
    ensure_project(connection, "p")
    parameters = {"conv": ("int8", "fp32")}
    made = create_on(connection, Definition("[b]odd[/b]", "p", parameters, 0.9, True, False, 5))
    for number, label in enumerate(("int8", "fp32"), start=1):
        trial = made.suggest(number, assignments={"conv": label}, origin=f"seed: {label}")
        record = TrialRecord(
            number=number,
            state=TrialState.OBSERVED,
            origin=trial.origin,
            assignments=trial.assignments,
            suggestion_id=trial.suggestion_id,
            accuracy=0.95,
            latency_seconds=0.0125,
            latency_stddev=0.00025,
            duration_seconds=1.0,
        )
        if number == 1:
            made.observe(record)
        else:
            failed = {"state": TrialState.FAILED, "failure": "[red]no kernel[/red]"}
            made.observe(dataclasses.replace(record, **failed))
    connection.impl.driver.close()
    return url


def test_the_experiments_of_a_store(store: str) -> None:
    result = invoke("experiments", "list", "--storage", store)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == f"Store: {store}"
    cells = lines[2].split()
    assert cells[:5] == ["2", "[b]odd[/b]", "paused", "2", "5"]
    assert cells[-2:] == ["0.9500", "12.5"]
    (row,) = json.loads(invoke("experiments", "list", "--storage", store, "--json").stdout)[-1:]
    assert row["best"]["latency"] == 0.0125
    assert row["begun"] <= row["updated"]


def test_one_experiment_of_a_store(store: str) -> None:
    result = invoke("experiments", "show", "2", "--storage", store)
    assert result.exit_code == 0, result.output
    for part in (
        f"Store: {store}",
        "experiment 2: [b]odd[/b] (paused)",
        "conv = int8",
        "seed: int8",
        "latency 0.0125 ± 0.00025",
        "failed: [red]no kernel[/red]",
    ):
        assert part in " ".join(result.output.split()), part


def test_one_experiment_as_json(store: str) -> None:
    shown = json.loads(invoke("experiments", "show", "2", "--storage", store, "--json").stdout)
    assert shown["id"] == "2"
    assert [trial["failed"] for trial in shown["observations"]] == [True, False]
    assert shown["best_assignments"][0]["assignments"] == {"conv": "int8"}


def test_the_state_of_an_experiment_is_true(store: str) -> None:
    def state() -> str:
        listed = json.loads(invoke("experiments", "list", "--storage", store, "--json").stdout)
        return str(listed[0]["state"])

    assert state() == "paused"
    connection = open_embedded(store)
    experiment = connection.experiments("2")
    worker = Worker("w")
    made = experiment.suggestions().create(metadata=worker.lease().to_metadata())
    assert state() == "running"
    gone = Worker("w", lease_seconds=-1.0).lease().to_metadata()
    experiment.suggestions(made.id).update(metadata=gone)
    assert state() == "died"
    experiment.observations().create(suggestion=made.id, failed=True)
    experiment.update(observation_budget=3)
    assert state() == "finished"
    connection.impl.driver.close()


def test_an_experiment_that_is_not_there(store: str) -> None:
    line = wrong_use("experiments", "show", "7", "--storage", store)
    assert "'7'" in line
    assert "experiments list" in line


@pytest.mark.parametrize("arguments", [("list",), ("show", "1")], ids=["list", "show"])
def test_looking_at_a_store_does_not_make_one(arguments: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "deep" / "store.sqlite3"
    for storage in (("--storage", f"sqlite:///{path}"), ()):
        line = wrong_use("experiments", *arguments, *storage)
        assert "There is no store" in line
    assert not path.parent.exists()
    assert not (tmp_path / "data").exists()


def test_tune_hands_on_what_a_worker_is_told(job: FakeJob) -> None:
    invoke("tune", "any.fake")
    invoke("tune", "any.fake", "--join", "7", "--worker", "w", "--workers", "3", "--storage", "u")
    assert job.told == [
        {},
        {"sigopt_experiment_id": "7", "worker": "w", "parallel_bandwidth": 3, "storage": "u"},
    ]
