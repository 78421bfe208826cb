"""A model and a Python file with its data: all that tuning needs, without a configuration.

A model that is no file, such as a PyTorch module, is defined in the Python file, which is then
what is tuned.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.autotuning.autotune import result_everywhere
from nc_sigopt_strategy.autotuning.every_runtime import EveryRuntime
from nc_sigopt_strategy.autotuning.request import DEFAULT_TRIALS, Place, Request, Share
from nc_sigopt_strategy.autotuning.runner import Runner
from nc_sigopt_strategy.autotuning.runners import runner_for
from nc_sigopt_strategy.errors import ConfigFileError, ModelError, SettingsError
from nc_sigopt_strategy.hosts.find import (
    AUTO,
    INC,
    INC3,
    KnownHost,
    host_for,
    installed_hosts,
    named_host,
)
from nc_sigopt_strategy.hosts.given import DEFAULT_LOSS, Criterion, Given
from nc_sigopt_strategy.hosts.inc.registration import STRATEGY_NAME
from nc_sigopt_strategy.jobs.evaluation import RecordingEvaluation
from nc_sigopt_strategy.jobs.job import PreparedJob, Tell
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.pipeline_file import Pipeline, read_pipeline
from nc_sigopt_strategy.jobs.quiet import native_output_in
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.jobs.sigopt_settings import (
    OWN_KEYS,
    check_connection,
    merged_kwargs,
    own_kwargs,
)

DEFAULT_OUTPUT = Path("runs")
_BEST = "best_model"
_FROZEN, _ONNX, _PROGRAM, _PYTHON = ".pb", ".onnx", ".pt2", ".py"
# A command line is seen by whoever lists processes, and a job's options are written to files.
_SECRETS = {
    "sigopt_api_token": "Set SIGOPT_API_TOKEN in the environment instead.",
    "sigopt_proxy": "Set HTTPS_PROXY in the environment instead.",
}
_OPTIONS = {
    "storage": "--storage",
    "sigopt_experiment_id": "--join",
    "worker": "--worker",
    "parallel_bandwidth": "--workers",
}


@dataclass(frozen=True)
class ModelJob:
    """See ``TuningJob`` for the contract.

    Attributes:
        path: A frozen graph, a SavedModel's folder, an ONNX model, OpenVINO's IR, or what else a
            host loads from a path; or a Python file that defines model and data.
        options: As they were given; ``data`` is there and absolute, unless ``path`` defines it.
        strategy_kwargs: Of the sigopt strategy.
        timeout: Seconds; 0 leaves the end to ``max_trials``.
        max_trials: Observation budget.
    """

    path: Path
    options: JobOptions
    strategy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    timeout: int = 0
    max_trials: int = DEFAULT_TRIALS
    strategy: str = STRATEGY_NAME
    label: str = STRATEGY_NAME

    @classmethod
    def opened(cls, path: Path, options: JobOptions) -> ModelJob:
        """The job of a model.

        Raises:
            ConfigFileError: An option is missing or does not go with the model.
            SettingsError: A setting cannot be used.
        """
        path = path.expanduser().resolve()
        _check_options(path, options)
        _check_settings(options.settings)
        data = options.data
        if data is None and path.suffix != _PYTHON:
            raise ConfigFileError(
                f"{path} is tuned as a model, and --data is missing.",
                "Name a Python file that defines calib_dataloader and eval_func with --data; or "
                "give a run configuration, CONFIG.yaml.",
            )
        return cls(
            path,
            dataclasses.replace(options, data=data and data.expanduser().resolve()),
            strategy_kwargs=merged_kwargs({}, options.settings),
            timeout=options.timeout or 0,
            max_trials=options.max_trials or DEFAULT_TRIALS,
        )

    @property
    def name(self) -> str:
        """The model's."""
        return self.path.name if self.path.is_dir() else self.path.stem

    @property
    def output(self) -> Path:
        """What the options say, or ``runs``."""
        return self.options.output or DEFAULT_OUTPUT

    @property
    def loss(self) -> float:
        """Relative loss of accuracy that is tolerable."""
        return DEFAULT_LOSS if self.options.loss is None else self.options.loss

    def with_kwargs(self, strategy_kwargs: Mapping[str, Any]) -> ModelJob:
        """See ``TuningJob``."""
        if not strategy_kwargs:
            return self
        kwargs = merged_kwargs(self.strategy_kwargs, strategy_kwargs)
        if self.options.host == AUTO:
            _refuse_workers(kwargs)
        return dataclasses.replace(self, strategy_kwargs=kwargs)

    def with_budget(self, *, timeout: int, max_trials: int | None = None) -> ModelJob:
        """See ``TuningJob``."""
        trials = self.max_trials if max_trials is None else max_trials
        return dataclasses.replace(self, timeout=timeout, max_trials=trials)

    def prepare(self, tell: Tell) -> PreparedJob:
        """See ``TuningJob``."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        if not self.path.exists():
            raise ModelError(
                f"The model {self.path} does not exist.", "Correct the path of the model."
            )
        if self.path.suffix != _PYTHON:
            self._host(self.path)  # before the user's code runs, which may take long
        check_connection(self.strategy_kwargs)
        pipeline = self._pipeline()
        model = self.path if pipeline.model is None else pipeline.model
        host = self._host(model)
        evaluation = _Evaluation(pipeline.eval_func)
        kwargs = dict(self.strategy_kwargs)
        if pipeline.stored_metrics_func is not None:
            kwargs.setdefault("stored_metrics_func", pipeline.stored_metrics_func)
        if pipeline.confirm_func is not None:
            kwargs.setdefault("confirm_func", pipeline.confirm_func)
        options = self.options
        given = Given(
            model,
            pipeline.calib_dataloader,
            evaluation,
            Criterion(self.loss),
            inputs=options.inputs,
            outputs=options.outputs,
        )
        request = Request(given, kwargs, Share(self.max_trials, self.timeout))
        if host is None:
            return _PreparedEverywhere(request, tuple(installed_hosts(given.model)))
        with native_output_in(None):
            runner = runner_for(host, request)
            runner.check()
        return _PreparedModel(request, pipeline, evaluation, runner)

    def _host(self, model: Any) -> KnownHost | None:
        """What tunes it; ``None`` for all that can."""
        return None if self.options.host == AUTO else host_for(model, self.options.host)

    def _pipeline(self) -> Pipeline:
        if self.options.data is None:
            return read_pipeline(self.path, named_by="the path", with_model=True)
        return read_pipeline(self.options.data, named_by="--data")


def hosts_of(path: Path) -> Sequence[KnownHost]:
    """All that are installed and read a model; a Python file that defines it is run.

    Args:
        path: As ``ModelJob.path``.

    Raises:
        ModelError: There is no such model.
        DataError: The Python file cannot be used.
        MissingExtraError: None is installed.
    """
    if path.suffix != _PYTHON:
        return installed_hosts(path)
    return installed_hosts(read_pipeline(path, named_by="the path", with_model=True).model)


class _Evaluation:
    """Calls the user's evaluation; once there is a run folder, by way of its record."""

    def __init__(self, evaluate: Callable[[Any], Any]) -> None:
        self.evaluate = evaluate

    def __call__(self, model: Any) -> Any:
        return self.evaluate(model)


@dataclass(frozen=True)
class _PreparedModel:
    """A model that runs on the first batch of its data."""

    request: Request
    pipeline: Pipeline
    evaluation: _Evaluation
    runner: Runner

    def run(self, folder: Path, *, progress: bool | None) -> RunEnd:
        """See ``PreparedJob``."""
        criterion = self.request.given.criterion
        self.evaluation.evaluate = RecordingEvaluation(
            self.pipeline.eval_func,
            folder,
            lambda accuracy, baseline: criterion.bound(baseline).met(accuracy),
        )
        place = _place(folder, progress, self.request)
        run = self.runner.run(self.request.budget, place)
        return RunEnd(run.outcome, run.interrupted)


@dataclass(frozen=True)
class _PreparedEverywhere:
    """A model that is tuned on several runtimes."""

    request: Request
    hosts: tuple[KnownHost, ...]

    def run(self, folder: Path, *, progress: bool | None) -> RunEnd:
        """See ``PreparedJob``; each runtime has a folder of its own in the run folder."""
        place = _place(folder, progress, self.request)
        result = result_everywhere(EveryRuntime(self.request, place, self.hosts).tune())
        if result.found:
            result.save(folder / _BEST)
        else:
            result.save_report(folder)
        rows = [row.in_words() for row in result.runtimes]
        return RunEnd(result.outcome, result.interrupted, tuple(rows))


def _place(folder: Path, progress: bool | None, request: Request) -> Place:
    own = own_kwargs(folder, progress)
    # What the user says comes before what a run folder suggests.
    return Place(folder, {key: value for key, value in own.items() if key not in request.settings})


def _check_options(path: Path, options: JobOptions) -> None:
    host = options.host
    if host not in (None, AUTO):
        named_host(host)
    ends = {"--inputs": options.inputs, "--outputs": options.outputs}
    for name, names in ends.items():
        if path.suffix == _FROZEN and host in (None, INC, INC3) and not names:
            raise ConfigFileError(
                f"{path} is a frozen graph, and {name} is missing.",
                "A frozen graph does not say which of its ops they are: list them, with commas "
                "between.",
            )
        if path.suffix in (_ONNX, _PROGRAM) and names:
            raise ConfigFileError(
                f"{name} {','.join(names)} is given for {path}.",
                "Leave it out: such a model says it itself.",
            )
    if path.suffix == _PYTHON and options.data is not None:
        raise ConfigFileError(
            f"--data {options.data} is given for {path}, which defines its model and its data.",
            "Leave --data out, or name the file of a model before it.",
        )
    if options.loss is not None and not 0 <= options.loss < 1:
        raise ConfigFileError(
            f"--loss is {options.loss:g}, which "
            f"{'every' if options.loss >= 1 else 'no'} model meets.",
            "It is a share of FP32's accuracy: write 0.01 for one per cent.",
        )


def _check_settings(settings: Mapping[str, Any]) -> None:
    for key in settings:
        if key in OWN_KEYS:
            raise SettingsError(
                f"--set {key} is set by nc-sigopt itself.",
                "Leave it out: the run folder and the terminal decide it.",
            )
        if key in _OPTIONS:
            raise SettingsError(
                f"--set {key} is given, which has an option of its own.", f"Use {_OPTIONS[key]}."
            )
        if key in _SECRETS:
            raise SettingsError(f"--set takes no {key}: it may hold a secret.", _SECRETS[key])


def _refuse_workers(kwargs: Mapping[str, Any]) -> None:
    for key, option in _OPTIONS.items():
        if key != "storage" and kwargs.get(key) not in (None, 1):
            raise ConfigFileError(
                f"{option} {kwargs[key]} does not go with --host {AUTO}: each runtime has an "
                "experiment of its own.",
                "Name one host: workers share one experiment.",
            )
