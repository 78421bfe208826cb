"""A model file and a Python file with its data: all that tuning needs, without a configuration."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc_sigopt_strategy.errors import ConfigFileError, ModelError, SettingsError
from nc_sigopt_strategy.hosts.inc.registration import STRATEGY_NAME
from nc_sigopt_strategy.jobs.evaluation import RecordingEvaluation
from nc_sigopt_strategy.jobs.job import PreparedJob, Tell
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.pipeline_file import Pipeline, check_runs, read_pipeline
from nc_sigopt_strategy.jobs.quiet import native_output_in
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.jobs.sigopt_settings import (
    OWN_KEYS,
    WORKSPACE_FOLDER,
    check_connection,
    merged_kwargs,
    own_kwargs,
)
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import OUTCOME_FILE, publish, read_outcome
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch

if TYPE_CHECKING:
    from nc_sigopt_strategy.hosts.inc.given_model import GivenModel

DEFAULT_OUTPUT = Path("runs")
# Neural Compressor's own defaults.
DEFAULT_LOSS = 0.01
DEFAULT_TRIALS = 100
_FROZEN, _ONNX = ".pb", ".onnx"
# A command line is seen by whoever lists processes, and a job's options are written to files.
_SECRETS = {
    "sigopt_api_token": "Set SIGOPT_API_TOKEN in the environment instead.",
    "sigopt_proxy": "Set HTTPS_PROXY in the environment instead.",
    "storage": "Use --storage.",
}


@dataclass(frozen=True)
class ModelJob:
    """See ``TuningJob`` for the contract.

    Attributes:
        path: A frozen graph, a SavedModel's folder, an ONNX model, or what else Neural
            Compressor loads from a path.
        options: As they were given; ``data`` is there and absolute.
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
        if data is None:
            raise ConfigFileError(
                f"{path} is tuned as a model, and --data is missing.",
                "Name a Python file that defines calib_dataloader and eval_func with --data; or "
                "give a run configuration, CONFIG.yaml.",
            )
        return cls(
            path,
            dataclasses.replace(options, data=data.expanduser().resolve()),
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
        check_connection(self.strategy_kwargs)
        pipeline = read_pipeline(Path(str(self.options.data)), named_by="--data")
        with native_output_in(None):
            from nc_sigopt_strategy.hosts.inc.given_model import load_model

            settings = Settings.from_kwargs(self.strategy_kwargs)
            model = load_model(
                self.path,
                self.options.inputs,
                self.options.outputs,
                settings.onnxruntime_session_options,
            )
            check_runs(self.path, pipeline.batch, model.open)
        return _PreparedModel(self, pipeline, model)


@dataclass(frozen=True)
class _PreparedModel:
    """A model that runs on the first batch of its data."""

    job: ModelJob
    pipeline: Pipeline
    model: GivenModel

    def run(self, folder: Path, *, progress: bool | None) -> RunEnd:
        """See ``PreparedJob``."""
        # Not at the top: Neural Compressor comes with it, which takes seconds.
        from nc_sigopt_strategy.hosts.inc.fitting import fit
        from nc_sigopt_strategy.hosts.inc.given_model import Tuning

        job, pipeline = self.job, self.pipeline
        kwargs = {**own_kwargs(folder, progress), **job.strategy_kwargs}
        if pipeline.stored_metrics_func is not None:
            kwargs.setdefault("stored_metrics_func", pipeline.stored_metrics_func)
        tuning = Tuning(kwargs, job.loss, job.timeout, job.max_trials)
        conf = tuning.config(self.model, folder / WORKSPACE_FOLDER)
        watch = InterruptWatch(job.timeout)
        evaluation = RecordingEvaluation(
            pipeline.eval_func,
            folder,
            lambda accuracy, baseline: _bound(baseline, job.loss).met(accuracy),
            check_interrupt=watch.check,
        )
        with watch:
            fitted = fit(self.model.source, conf, pipeline.calib_dataloader, evaluation)
        if (folder / OUTCOME_FILE).exists():
            return RunEnd(read_outcome(folder), watch.by_person)
        why = repr(fitted.error) if fitted.error else "the strategy left no outcome.json"
        outcome = Outcome(
            strategy=STRATEGY_NAME, found=False, stop_reason=f"It failed: {why}", error=why
        )
        return RunEnd(publish(outcome, folder, {}), watch.by_person)


def _bound(baseline: float, loss: float) -> AccuracyBound:
    return AccuracyBound.of(baseline, relative=True, tolerable_loss=loss, higher_is_better=True)


def _check_options(path: Path, options: JobOptions) -> None:
    ends = {"--inputs": options.inputs, "--outputs": options.outputs}
    for name, names in ends.items():
        if path.suffix == _FROZEN and not names:
            raise ConfigFileError(
                f"{path} is a frozen graph, and {name} is missing.",
                "A frozen graph does not say which of its ops they are: list them, with commas "
                "between.",
            )
        if path.suffix == _ONNX and names:
            raise ConfigFileError(
                f"{name} {','.join(names)} is given for {path}.",
                "Leave it out: an ONNX model says it itself.",
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
        if key in _SECRETS:
            raise SettingsError(f"--set takes no {key}: it may hold a secret.", _SECRETS[key])
