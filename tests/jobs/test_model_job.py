"""A model as a job: what is refused before anything is loaded, and what the options make of it."""

from __future__ import annotations

import importlib.util
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
    UsersCodeError,
)
from nc_sigopt_strategy.hosts.find import hosts_that_read
from nc_sigopt_strategy.jobs import model_job, opening
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


def test_an_experiment_of_no_store_cannot_be_joined() -> None:
    with pytest.raises(ConfigFileError, match="no store is named"):
        opened().with_kwargs({"sigopt_experiment_id": "7"})


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
        (Path("net.pt2"), {"outputs": ("y",)}, ConfigFileError, "--outputs y is given"),
        (Path("net.py"), {}, ConfigFileError, "which defines its model and its data"),
        (ONNX, {"loss": 1.0}, ConfigFileError, "--loss is 1, which every model meets"),
        (ONNX, {"loss": -0.1}, ConfigFileError, "--loss is -0.1"),
        (ONNX, {"settings": {"serch_space": "full"}}, SettingsError, "search_space"),
        (ONNX, {"settings": {"output_dir": "x"}}, SettingsError, "set by nc-sigopt itself"),
        (ONNX, {"settings": {"sigopt_api_token": "t"}}, SettingsError, "SIGOPT_API_TOKEN"),
        (ONNX, {"settings": {"storage": "u"}}, SettingsError, "Use --storage"),
        (ONNX, {"settings": {"sigopt_experiment_id": 7}}, SettingsError, "Use --join"),
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


DEFINES = """
import numpy as np

class calib_dataloader:
    batch_size = 2
    def __iter__(self):
        yield np.zeros((2, 3), np.float32), np.zeros(2)

calib_dataloader = calib_dataloader()
eval_func = lambda model: 1.0
"""


def prepared_from(folder: Path, content: str, **options: Any) -> Any:
    path = folder / "net.py"
    path.write_text(content)
    return opened(path, data=None, **options).prepare(print)


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (DEFINES, DataError, r"net\.py does not define model\. .*torch\.nn\.Module"),
        ("x = 1", DataError, "does not define model and calib_dataloader and eval_func"),
        (f"{DEFINES}model = None", DataError, r"model in .*net\.py is None"),
        (f"{DEFINES}model = 5", ModelError, "A int is no model that can be tuned"),
        (f"{DEFINES}model = 'sub/net.onnx'", ModelError, "sub/net.onnx"),
        (f"{DEFINES}import nothing_such", UsersCodeError, "nothing_such"),
    ],
)
def test_a_python_file_that_does_not_define_a_model(
    content: str, error: type[SigOptStrategyError], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        prepared_from(tmp_path, content)


def test_a_model_is_given_as_the_python_file_defines_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Checked:
        def check(self) -> None:
            pass

    asked: list[Any] = []
    monkeypatch.setattr(
        model_job, "runner_for", lambda host, request: asked.append((host, request)) or Checked()
    )
    # As good as a module of PyTorch to who looks at names only.
    module = 'model = type("Module", (), {"__module__": "torch.nn"})()'
    prepared_from(tmp_path, f"{DEFINES}{module}", host="torch")
    ((host, request),) = asked
    assert host.name == "torch"
    assert type(request.given.model).__name__ == "Module"
    assert [known.name for known in hosts_that_read(request.given.model)] == ["openvino", "torch"]
    job = opened(tmp_path / "net.py", data=None)
    assert open_job(job.path, JobOptions.from_json(job.options.to_json())) == job
    (tmp_path / "net.onnx").touch()
    prepared_from(tmp_path, f"{DEFINES}model = 'net.onnx'", host="onnxruntime")
    assert asked[1][1].given.model == tmp_path / "net.onnx"


def test_a_program_of_torch_export_needs_pytorch(tmp_path: Path) -> None:
    if importlib.util.find_spec("torch"):
        pytest.skip("PyTorch is installed")
    model = tmp_path / "net.pt2"
    model.touch()
    (tmp_path / "data.py").write_text(DEFINES)
    for host in ("torch", "openvino"):
        with pytest.raises(MissingExtraError, match=r"nc_sigopt_strategy\[torch\]"):
            opened(model, data=tmp_path / "data.py", host=host).prepare(print)


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
