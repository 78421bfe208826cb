"""A YAML run configuration as a job that a worker of ``nc-sigopt tune`` runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.run_config import SIGOPT, RunConfig, StrategyConfig
from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_benchmarks.models.benchmark_model import BenchmarkModel
from nc_sigopt_benchmarks.running.child import show_event
from nc_sigopt_benchmarks.running.dispatch import run_here
from nc_sigopt_benchmarks.running.prepared import prepare
from nc_sigopt_benchmarks.running.run_plan import PlannedRun, planned_run
from nc_sigopt_strategy.console.progress import TuningProgress
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.jobs.evaluation import Event
from nc_sigopt_strategy.jobs.job import PreparedJob, Tell
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.jobs.sigopt_settings import merged_kwargs


def read_job(path: Path, options: JobOptions) -> ConfigJob:
    """The job of a run configuration: the reader of ``nc_sigopt.jobs`` for YAML files.

    Raises:
        ConfigFileError: The file is wrong, does not say which strategy runs, or an option is given
            that only goes with a model.
    """
    for option, value in options.of_a_model().items():
        raise ConfigFileError(
            f"{option} {value} is given for the run configuration {path}.",
            "Write it into the file: the option is for a model file.",
        )
    config = read_config(path)
    if options.output is not None:
        config = dataclasses.replace(config, output=options.output)
    if options.label is not None:
        return ConfigJob(config, config.strategy(options.label))
    return ConfigJob(config, choose_strategy(config))


def choose_strategy(config: RunConfig) -> StrategyConfig:
    """The ``sigopt`` strategy of the configuration, or the only one.

    Raises:
        ConfigFileError: There are several and none, or more than one, is sigopt.
    """
    candidates = [s for s in config.strategies if s.name == SIGOPT] or list(config.strategies)
    if len(candidates) > 1:
        labels = ", ".join(strategy.label for strategy in candidates)
        raise ConfigFileError(
            f"{config.path}: tune runs one strategy, but the file lists {labels}.",
            "Leave one of them in the key strategies, or use nc-sigopt compare.",
        )
    return candidates[0]


@dataclass(frozen=True)
class ConfigJob:
    """See ``TuningJob`` for the contract.

    Attributes:
        config: The run configuration.
        chosen: Which of its strategies runs.
    """

    config: RunConfig
    chosen: StrategyConfig

    @property
    def path(self) -> Path:
        """The configuration's file."""
        return self.config.path.resolve()

    @property
    def options(self) -> JobOptions:
        """Which strategy of the file it is."""
        return JobOptions(label=self.chosen.label)

    @property
    def label(self) -> str:
        """The strategy's."""
        return self.chosen.label

    @property
    def name(self) -> str:
        """The run configuration's."""
        return self.config.name

    @property
    def output(self) -> Path:
        """The run configuration's."""
        return self.config.output

    @property
    def strategy(self) -> str:
        """Neural Compressor's name of it, or that of a one-shot strategy."""
        return self.chosen.name

    @property
    def strategy_kwargs(self) -> Mapping[str, Any]:
        """The file's, and what ``with_kwargs`` changed."""
        return self.chosen.strategy_kwargs

    @property
    def timeout(self) -> int:
        """The strategy's own, else that of all."""
        return self._run.timeout

    @property
    def max_trials(self) -> int:
        """The strategy's own, else that of all."""
        return self._run.max_trials

    @property
    def _run(self) -> PlannedRun:
        return planned_run(self.config, self.chosen)

    def with_kwargs(self, strategy_kwargs: Mapping[str, Any]) -> ConfigJob:
        """See ``TuningJob``."""
        if not strategy_kwargs:
            return self
        if self.strategy != SIGOPT:
            raise ConfigFileError(
                f"{self.config.path}: only the sigopt strategy has workers, the file runs "
                f"{self.strategy}.",
                "List sigopt under strategies.",
            )
        kwargs = merged_kwargs(self.strategy_kwargs, strategy_kwargs)
        return self._with(strategy_kwargs=kwargs)

    def with_budget(self, *, timeout: int, max_trials: int | None = None) -> ConfigJob:
        """See ``TuningJob``."""
        trials = self.max_trials if max_trials is None else max_trials
        return self._with(timeout=timeout, max_trials=trials)

    def prepare(self, tell: Tell) -> PreparedJob:
        """See ``TuningJob``."""
        config = dataclasses.replace(self.config, strategies=(self.chosen,))
        prepared = _PreparedRun(config, self._run, prepare(config, tell).model)
        # Neural Compressor sets its logger up when it is imported, which must not be in the run.
        from nc_sigopt_strategy.hosts.inc import fitting  # noqa: F401

        return prepared

    def _with(self, **changes: Any) -> ConfigJob:
        return dataclasses.replace(self, chosen=dataclasses.replace(self.chosen, **changes))


@dataclass(frozen=True)
class _PreparedRun:
    """A run whose model is there."""

    config: RunConfig
    run_plan: PlannedRun
    model: BenchmarkModel

    def run(self, folder: Path, *, progress: bool | None) -> RunEnd:
        """See ``PreparedJob``."""
        config, run = self.config, self.run_plan
        if run.name == SIGOPT:
            # It draws a bar of its own, which knows latencies.
            return run_here(config, run, self.model, folder, progress=progress)
        events: list[Event] = []
        bar = TuningProgress(
            run.label,
            max_trials=run.max_trials,
            timeout_seconds=run.timeout,
            enabled=progress,
        )

        def show(event: Event) -> None:
            events.append(event)
            show_event(bar, events, higher_is_better=config.accuracy_criterion.higher_is_better)

        with bar:
            return run_here(config, run, self.model, folder, on_event=show)
