"""``nc-sigopt tune``: one strategy, in this process, with a live progress bar."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.comparing.compare import prepare
from nc_sigopt_benchmarks.comparing.run_folder import new_run_folder
from nc_sigopt_benchmarks.config.run_config import SIGOPT, RunConfig, StrategyConfig
from nc_sigopt_benchmarks.running.child import LOG_FILE, show_event
from nc_sigopt_benchmarks.running.dispatch import run_here
from nc_sigopt_benchmarks.running.run_end import RunEnd
from nc_sigopt_benchmarks.running.run_plan import planned_run
from nc_sigopt_strategy.client.connections import names_no_store
from nc_sigopt_strategy.console.progress import TuningProgress
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.settings.settings import Settings

Tell = Callable[[str], None]
_TALKATIVE = ("neural_compressor", "nc_sigopt_strategy", "tensorflow")


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


def with_kwargs(
    config: RunConfig, strategy: StrategyConfig, sigopt_kwargs: Mapping[str, Any]
) -> StrategyConfig:
    """The strategy with other ``strategy_kwargs``.

    Raises:
        ConfigFileError: It is not the sigopt strategy, or is to join an experiment of no store.
        SettingsError: A value cannot be used.
    """
    if not sigopt_kwargs:
        return strategy
    if strategy.name != SIGOPT:
        raise ConfigFileError(
            f"{config.path}: only the sigopt strategy has workers, the file runs {strategy.name}.",
            "List sigopt under strategies.",
        )
    kwargs = {**strategy.strategy_kwargs, **sigopt_kwargs}
    settings = Settings.from_kwargs(kwargs)
    if names_no_store(settings):
        raise ConfigFileError(
            f"Experiment {settings.sigopt_experiment_id} is to be joined, but no store is named.",
            "Add --storage URL, or storage or sigopt_api_token to strategy_kwargs.",
        )
    return dataclasses.replace(strategy, strategy_kwargs=kwargs)


def tune(
    config: RunConfig,
    tell: Tell,
    *,
    progress: bool | None = None,
    sigopt_kwargs: Mapping[str, Any] | None = None,
) -> tuple[RunEnd, Path]:
    """Run one strategy.

    Args:
        config: The run configuration.
        tell: Gets lines of text about what goes on.
        progress: As ``TuningProgress``'s ``enabled``.
        sigopt_kwargs: ``strategy_kwargs`` that take precedence over the configuration's.

    Returns:
        How it ended, and the run folder.

    Raises:
        SigOptStrategyError: The configuration, the model or the data cannot be used.
    """
    strategy = with_kwargs(config, choose_strategy(config), sigopt_kwargs or {})
    run = planned_run(config, strategy)
    model = prepare(config, tell).model
    folder = new_run_folder(config)
    tell(f"Run folder: {folder}")
    with _logs_in(folder / LOG_FILE):
        if strategy.name == SIGOPT:
            # It draws a bar of its own, which knows latencies.
            return run_here(config, run, model, folder, progress=progress), folder
        events: list[dict[str, Any]] = []
        bar = TuningProgress(
            run.label,
            max_trials=run.max_trials,
            timeout_seconds=run.timeout,
            enabled=progress,
        )

        def show(event: dict[str, Any]) -> None:
            events.append(event)
            show_event(bar, events, higher_is_better=config.accuracy_criterion.higher_is_better)

        with bar:
            return run_here(config, run, model, folder, on_event=show), folder


@contextmanager
def _logs_in(path: Path) -> Iterator[None]:
    """Send the hundreds of lines that a tuning logs to a file, where they do not break the bar."""
    import neural_compressor  # noqa: F401  it sets its logger up when imported

    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] %(message)s"))
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [logger.handlers[:] for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = [handler]
    try:
        yield
    finally:
        for logger, handlers in zip(loggers, before, strict=True):
            logger.handlers[:] = handlers
        handler.close()
