"""One strategy, run by Neural Compressor in this process, with its record in a folder.

The ``sigopt`` strategy writes its own record. For the stock strategies one of the same shape is
made from the calls of the evaluation.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config import SIGOPT, RunConfig, StrategyConfig
from nc_sigopt_benchmarks.evaluation import RecordingEvaluation, read_events
from nc_sigopt_benchmarks.models import BenchmarkModel
from nc_sigopt_benchmarks.pipeline import build_pipeline
from nc_sigopt_benchmarks.stock_record import (
    BEST_MODEL_FILE,
    WORKSPACE_FOLDER,
    drop_leftovers,
    outcome_from_events,
    trials_from_events,
    write_stock_recipe,
)
from nc_sigopt_strategy.calibration import STOCK, CalibratedOnce
from nc_sigopt_strategy.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.errors import SigOptStrategyError, UnsupportedVersionError
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.interrupts import InterruptWatch
from nc_sigopt_strategy.outcome import (
    OUTCOME_FILE,
    RECIPE_FILE,
    Outcome,
    publish,
    read_outcome,
    write_trials,
)

STORE_FILE = "experiments.sqlite3"
# What the number in Neural Compressor's quant_level makes of the strategy's name.
_QUANT_LEVELS: dict[str, int | str] = {"auto": "auto", "conservative": 0}


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, and whether Ctrl-C ended it."""

    outcome: Outcome
    interrupted: bool


def run_strategy(
    config: RunConfig,
    strategy: StrategyConfig,
    model: BenchmarkModel,
    folder: Path,
    *,
    progress: bool | None = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> RunEnd:
    """Tune ``model`` with one strategy.

    Args:
        config: The run configuration.
        strategy: Which of its strategies.
        model: What is tuned.
        folder: Gets ``outcome.json``, ``trials.jsonl``, ``events.jsonl``, ``best_model.pb`` and
            Neural Compressor's workspace; exists.
        progress: The ``progress`` of the sigopt strategy.
        on_event: Gets each line of ``events.jsonl`` as it is written.

    Raises:
        SigOptStrategyError: A wrong key in ``strategy_kwargs``, data that cannot be used.
    """
    pipeline = build_pipeline(config.data, model)
    conf = _inc_config(config, strategy, model, folder, pipeline.calibration_size, progress)
    from neural_compressor import quantization

    failures = _FailureLog()
    # The clock starts after the imports, which take seconds and are no part of tuning.
    started = time.monotonic()
    watch = InterruptWatch(config.tuning.timeout)
    evaluation = RecordingEvaluation(
        pipeline.eval_func,
        folder,
        config.accuracy_criterion,
        keep_models=strategy.name != SIGOPT,
        on_event=on_event,
        check_interrupt=watch.check,
    )
    logger = logging.getLogger("neural_compressor")
    logger.addHandler(failures)
    usage = CalibrationUsage()
    try:
        with watch, CalibratedOnce("tensorflow", usage, mode=strategy.calibration):
            found = quantization.fit(
                model=str(model.path),
                conf=conf,
                calib_dataloader=pipeline.calib_dataloader,
                eval_func=evaluation,
            )
    finally:
        logger.removeHandler(failures)
    tuning_seconds = time.monotonic() - started
    if strategy.name == SIGOPT:
        return RunEnd(_own_outcome(folder, config, failures.cause), watch.by_person)
    failure = failures.cause
    if found is not None:
        try:
            _save_despite_timeout(found, folder / BEST_MODEL_FILE)
        except OSError as error:
            failure = f"The best model could not be saved: {error}."
    trials = trials_from_events(read_events(folder), strategy.name)
    outcome = outcome_from_events(
        read_events(folder),
        strategy.name,
        config,
        folder,
        tuning_seconds=tuning_seconds,
        batch_size=pipeline.batch_size,
        failure=failure,
        interrupted=watch.by_person,
    )
    if strategy.calibration != STOCK:
        outcome = dataclasses.replace(outcome, calibration=usage.as_dict())
    if outcome.best is not None and _recipe_written(folder, outcome.best.number):
        outcome = dataclasses.replace(outcome, files={**outcome.files, "recipe": RECIPE_FILE})
    drop_leftovers(folder)
    outcome = publish(outcome, folder, {"trials": lambda: write_trials(trials, folder)})
    return RunEnd(outcome, watch.by_person)


def _inc_config(
    config: RunConfig,
    strategy: StrategyConfig,
    model: BenchmarkModel,
    folder: Path,
    calibration_size: int | None,
    progress: bool | None,
) -> Any:
    """Neural Compressor's own configuration object."""
    if strategy.name == SIGOPT:
        # Registers the strategy; must come before the configuration names it.
        import nc_sigopt_strategy  # noqa: F401
    from neural_compressor import config as inc

    inc.options.workspace = str(folder / WORKSPACE_FOLDER)
    inc.options.random_seed = config.tuning.seed
    level = _QUANT_LEVELS.get(strategy.name, 1)
    kwargs = dict(strategy.strategy_kwargs)
    if strategy.name == SIGOPT:
        kwargs = {
            "seed": config.tuning.seed,
            "storage": f"sqlite:///{folder.resolve() / STORE_FILE}",
            "output_dir": str(folder),
            "progress": progress,
            **kwargs,
        }
    criterion = config.accuracy_criterion
    try:
        tuning = inc.TuningCriterion(
            strategy="basic" if strategy.name in _QUANT_LEVELS else strategy.name,
            strategy_kwargs=kwargs or None,
            timeout=config.tuning.timeout,
            max_trials=config.tuning.max_trials,
        )
    except AssertionError as error:
        raise UnsupportedVersionError(
            f"This Neural Compressor has no strategy {strategy.name!r}: {error}.",
            "Take the strategy out of the run configuration.",
        ) from error
    sizes = {} if calibration_size is None else {"calibration_sampling_size": [calibration_size]}
    return inc.PostTrainingQuantConfig(
        # Left at "auto", Neural Compressor replaces a stock strategy by its conservative one.
        quant_level=level,
        inputs=list(model.inputs),
        outputs=list(model.outputs),
        accuracy_criterion=inc.AccuracyCriterion(
            higher_is_better=criterion.higher_is_better,
            criterion=criterion.criterion,
            tolerable_loss=float(criterion.tolerable_loss),
        ),
        tuning_criterion=tuning,
        **sizes,
    )


def _own_outcome(folder: Path, config: RunConfig, failure: str | None) -> Outcome:
    if (folder / OUTCOME_FILE).exists():
        return read_outcome(folder)
    outcome = outcome_from_events(
        read_events(folder),
        SIGOPT,
        config,
        folder,
        failure=failure or "the strategy left no outcome.json",
    )
    return publish(outcome, folder, {})


def _recipe_written(folder: Path, number: int) -> bool:
    try:
        return write_stock_recipe(folder, number)
    except Exception as error:  # INC's private format; the run is worth more than this file
        logging.getLogger(__name__).warning("There is no recipe: %r", error)
        return False


def _save_despite_timeout(model: Any, path: Path) -> None:
    """Save what ``fit`` returned, even if its timer fires only now.

    Neural Compressor's timeout is a KeyboardInterrupt in the main thread, and one that was on its
    way when ``fit`` returned arrives here. A second one is a person's Ctrl-C.
    """
    try:
        _save(model, path)
    except KeyboardInterrupt:
        print("Interrupted while the best model was being saved; saving it.", file=sys.stderr)
        _save(model, path)


def _save(model: Any, path: Path) -> None:
    write_whole(path, model.graph_def.SerializeToString())


class _FailureLog(logging.Handler):
    """Keeps why ``fit`` gave up: it logs the exception that ended it and returns ``None``."""

    def __init__(self) -> None:
        super().__init__(level=logging.ERROR)
        self.cause: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "Unexpected exception" in text:
            self.cause = text.removesuffix(" happened during tuning.").removeprefix(
                "Unexpected exception "
            )


def describe_error(error: BaseException) -> dict[str, Any]:
    """An error as plain data, for the process that started this one."""
    return {
        "kind": type(error).__name__,
        "message": str(error) or repr(error),
        "wrong_use": isinstance(error, SigOptStrategyError),
    }
