"""A model as a job: what is refused before anything is loaded, and what the options make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.errors import (
    ConfigFileError,
    DataError,
    MissingExtraError,
    ModelError,
    SettingsError,
    SigOptStrategyError,
)
from nc_sigopt_strategy.jobs import opening
from nc_sigopt_strategy.jobs.job_options import JobOptions, parsed_settings
from nc_sigopt_strategy.jobs.model_job import ModelJob
from nc_sigopt_strategy.jobs.opening import open_job

FROZEN, ONNX = Path("net.pb"), Path("net.onnx")
DATA = Path("data.py")


def opened(path: Path = ONNX, **options: Any) -> Any:
    return open_job(path, JobOptions(**{"data": DATA, **options}))


def test_defaults_are_neural_compressors() -> None:
    job = opened()
    assert isinstance(job, ModelJob)
    assert (job.timeout, job.max_trials, job.loss) == (0, 100, 0.01)
    assert (job.name, job.output, job.strategy) == ("net", Path("runs"), "sigopt")
    assert job.path.is_absolute()
    assert job.options.data is not None
    assert job.options.data.is_absolute()


def test_the_same_job_is_opened_from_what_it_says_of_itself() -> None:
    job = opened(
        FROZEN, inputs=("x",), outputs=("y", "z"), loss=0.1, settings={"search_space": "full"}
    )
    said = JobOptions.from_json(job.options.to_json())
    assert open_job(job.path, said) == job


def test_further_settings_and_another_budget() -> None:
    job = opened(settings={"seed": 3}, max_trials=9)
    assert job.with_kwargs({}) is job
    worker = job.with_kwargs({"worker": "w"}).with_budget(timeout=5)
    assert worker.strategy_kwargs == {"seed": 3, "worker": "w"}
    assert (worker.timeout, worker.max_trials) == (5, 9)
    assert job.strategy_kwargs == {"seed": 3}
    assert worker.options == job.options


@pytest.mark.parametrize(
    ("path", "options", "error", "said"),
    [
        (ONNX, {"data": None}, ConfigFileError, "--data is missing"),
        (FROZEN, {"outputs": ("y",)}, ConfigFileError, "--inputs is missing"),
        (FROZEN, {"inputs": ("x",)}, ConfigFileError, "--outputs is missing"),
        (ONNX, {"inputs": ("x",)}, ConfigFileError, "--inputs x is given"),
        (ONNX, {"loss": 1.0}, ConfigFileError, "--loss is 1, which every model meets"),
        (ONNX, {"loss": -0.1}, ConfigFileError, "--loss is -0.1"),
        (ONNX, {"settings": {"serch_space": "full"}}, SettingsError, "search_space"),
        (ONNX, {"settings": {"output_dir": "x"}}, SettingsError, "set by nc-sigopt itself"),
        (ONNX, {"settings": {"sigopt_api_token": "t"}}, SettingsError, "SIGOPT_API_TOKEN"),
        (ONNX, {"settings": {"storage": "u"}}, SettingsError, "Use --storage"),
        (ONNX, {"settings": {"sigopt_experiment_id": 7}}, ConfigFileError, "no store is named"),
    ],
)
def test_what_cannot_be_used_is_refused(
    path: Path, options: dict[str, Any], error: type[SigOptStrategyError], said: str
) -> None:
    with pytest.raises(error, match=said):
        opened(path, **options)


def test_no_secret_is_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        opened(settings={"sigopt_api_token": "HUSH"})
    assert "HUSH" not in str(refused.value)


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelError, match=r"net\.onnx does not exist"):
        opened().prepare(print)


def test_data_that_are_not_there(tmp_path: Path) -> None:
    model = tmp_path / "net.onnx"
    model.write_bytes(b"")
    with pytest.raises(DataError, match=r"data\.py does not exist\. Correct --data"):
        opened(model).prepare(print)


def test_a_run_configuration_takes_no_options_of_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match=r"--max-trials 3 is given for the run config"):
        open_job(tmp_path / "run.yaml", JobOptions(max_trials=3))


@pytest.mark.parametrize("name", ["run.yaml", "run.YML"])
def test_a_run_configuration_without_its_reader(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "entry_points", lambda **_: ())
    with pytest.raises(MissingExtraError, match="benchmark harness"):
        open_job(Path(name), JobOptions())


def test_values_are_json_or_text() -> None:
    pairs = ["a=1", "b=full", 'c={"x": [true]}', "d=a=b", "e="]
    assert parsed_settings(pairs) == {"a": 1, "b": "full", "c": {"x": [True]}, "d": "a=b", "e": ""}


@pytest.mark.parametrize("pairs", [["a"], ["=1"], ["a=1", "a=2"]])
def test_settings_that_are_no_pairs(pairs: list[str]) -> None:
    with pytest.raises(SettingsError):
        parsed_settings(pairs)
