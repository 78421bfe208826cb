"""``nc-sigopt``: help, exit codes, and one clear line for each wrong use."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_strategy.cli import main as cli
from nc_sigopt_strategy.cli import shared as cli_common
from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.opening import ensure_project
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.version import __version__


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli.cli, list(arguments))


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
    assert process.returncode == cli.WRONG_USE, process.stderr
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


def comparison(found: bool, interrupted: bool = False, wrong_use: bool = False) -> Comparison:
    return Comparison(
        name="x",
        started="now",
        model="m",
        accuracy_note="Accuracy is of a small data set.",
        bound="accuracy at least 0.9",
        baseline_accuracy=0.9,
        accuracy_target=0.9,
        higher_is_better=True,
        batch_size=20,
        strategies=(StrategyResult("sigopt", outcome(found), wrong_use=wrong_use),),
        verdicts=("basic and sigopt tie.",),
        interrupted=interrupted,
    )


class Fake:
    """Stands in for a module of the harness."""

    def __init__(self, **functions: Any) -> None:
        self.__dict__.update(functions)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    functions: dict[str, Any] = {"read_config": lambda path: path}
    for module in (cli, cli_common):
        monkeypatch.setattr(module, "benchmarks", lambda name: Fake(**functions))
    return functions


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
    ("found", "code"), [(True, cli.FOUND), (False, cli.NOTHING_FOUND)], ids=["found", "none"]
)
def test_tune_exits_by_what_it_found(found: bool, code: int, harness: dict[str, Any]) -> None:
    end = Fake(outcome=outcome(found), interrupted=False)
    harness["tune"] = lambda config, tell, **_: (end, Path("runs/x"))
    result = invoke("tune", "any.yaml")
    assert result.exit_code == code
    assert "The time is up." in result.output


@pytest.mark.parametrize(
    ("found", "interrupted", "code"),
    [
        (True, False, cli.FOUND),
        (False, False, cli.NOTHING_FOUND),
        (True, True, cli.INTERRUPTED),
    ],
    ids=["found", "none", "interrupted"],
)
def test_compare_exits_by_what_it_found(
    found: bool, interrupted: bool, code: int, harness: dict[str, Any]
) -> None:
    harness["compare"] = lambda config, tell, **_: (comparison(found, interrupted), Path("runs/x"))
    result = invoke("compare", "any.yaml")
    assert result.exit_code == code
    assert "basic and sigopt tie." in result.output
    assert "Accuracy is of a small data set." in result.output


def test_compare_exits_with_2_when_no_strategy_could_be_used(harness: dict[str, Any]) -> None:
    made = comparison(False, wrong_use=True)
    harness["compare"] = lambda config, tell, **_: (made, Path("runs/x"))
    assert invoke("compare", "any.yaml").exit_code == cli.WRONG_USE


def test_an_unexpected_exception_is_not_hidden(harness: dict[str, Any]) -> None:
    def broken(config: Any, tell: Any, **_: Any) -> Any:
        raise ZeroDivisionError

    harness["compare"] = broken
    assert isinstance(invoke("compare", "any.yaml").exception, ZeroDivisionError)


def test_an_interrupted_tune_shows_what_it_found(harness: dict[str, Any]) -> None:
    end = Fake(outcome=outcome(True), interrupted=True)
    harness["tune"] = lambda config, tell, **_: (end, Path("runs/x"))
    result = invoke("tune", "any.yaml")
    assert result.exit_code == cli.INTERRUPTED
    assert "yes, trial 1" in result.output


def test_ctrl_c_exits_with_130(harness: dict[str, Any]) -> None:
    def interrupted(config: Any, tell: Any, **_: Any) -> Any:
        raise KeyboardInterrupt

    harness["tune"] = interrupted
    assert invoke("tune", "any.yaml").exit_code == cli.INTERRUPTED


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
    made = Experiment.create(
        connection, Definition("[b]odd[/b]", "p", parameters, 0.9, True, False, 5)
    )
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
    assert lines[2].split() == ["2", "[b]odd[/b]", "active", "2", "5"]


def test_one_experiment_of_a_store(store: str) -> None:
    result = invoke("experiments", "show", "2", "--storage", store)
    assert result.exit_code == 0, result.output
    for part in (
        f"Store: {store}",
        "experiment 2: [b]odd[/b] (active)",
        "conv = int8",
        "seed: int8",
        "latency 0.0125 ± 0.00025",
        "failed: [red]no kernel[/red]",
    ):
        assert part in " ".join(result.output.split()), part


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


def test_tune_hands_on_what_a_worker_is_told(harness: dict[str, Any]) -> None:
    end = Fake(outcome=outcome(True), interrupted=False)
    told: list[Any] = []

    def tune(config: Any, tell: Any, *, sigopt_kwargs: Any) -> Any:
        told.append(sigopt_kwargs)
        return end, Path("runs/x")

    harness["tune"] = tune
    invoke("tune", "any.yaml")
    invoke("tune", "any.yaml", "--join", "7", "--worker", "w", "--workers", "3", "--storage", "u")
    assert told == [
        {},
        {"sigopt_experiment_id": "7", "worker": "w", "parallel_bandwidth": 3, "storage": "u"},
    ]
