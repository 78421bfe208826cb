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
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.run_config import SIGOPT, RunConfig
from nc_sigopt_benchmarks.datasets.pipeline import build_pipeline
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.model_files import best_model_file
from nc_sigopt_benchmarks.running.evaluation import recording_evaluation
from nc_sigopt_benchmarks.running.inc_config import inc_config
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_benchmarks.running.stock_record import (
    Ending,
    drop_leftovers,
    outcome_from_events,
    trials_from_events,
    write_stock_recipe,
)
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.hosts.inc.model_name import called
from nc_sigopt_strategy.jobs.evaluation import read_events
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.jobs.sigopt_settings import own_kwargs
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import (
    OUTCOME_FILE,
    RECIPE_FILE,
    publish,
    read_outcome,
    write_trials,
)
from nc_sigopt_strategy.settings.choices import STOCK
from nc_sigopt_strategy.tuning.failures import way_through_users_code
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch


def run_strategy(
    config: RunConfig,
    run: PlannedRun,
    model: BenchmarkModel,
    folder: Path,
    *,
    progress: bool | None = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> RunEnd:
    """Tune ``model`` with one strategy.

    Args:
        config: The run configuration.
        run: Which of its runs.
        model: What is tuned.
        folder: Gets ``outcome.json``, ``trials.jsonl``, ``events.jsonl``, the best model and
            Neural Compressor's workspace; exists.
        progress: The ``progress`` of the sigopt strategy.
        on_event: Gets each line of ``events.jsonl`` as it is written.

    Raises:
        SigOptStrategyError: A wrong key in ``strategy_kwargs``, data that cannot be used.
    """
    pipeline = build_pipeline(config, model)
    is_sigopt = run.name == SIGOPT
    # Whoever starts this process, or runs it in its own, says where the log goes.
    kwargs = {**own_kwargs(folder, progress), "show_inc_log": True}
    if pipeline.stored_metrics_func is not None:
        kwargs["stored_metrics_func"] = pipeline.stored_metrics_func
    conf = inc_config(
        config,
        run,
        model,
        folder,
        calibration_size=pipeline.calibration_size,
        own_kwargs=kwargs,
    )
    # The clock starts after the imports, which take seconds and are no part of tuning.
    from nc_sigopt_strategy.hosts.inc.fitting import fit

    started = time.monotonic()
    watch = InterruptWatch(run.timeout)
    evaluation = recording_evaluation(
        pipeline.eval_func,
        folder,
        config.accuracy_criterion,
        keep_models=not is_sigopt,
        stored_metrics_func=None if is_sigopt else pipeline.stored_metrics_func,
        on_event=on_event,
        check_interrupt=watch.check,
    )
    usage = CalibrationUsage()
    calibrated = CalibratedOnce(model.framework, usage, mode=run.strategy.calibration)
    with watch, calibrated, called(model.name):
        fitted = fit(str(model.path), conf, pipeline.calib_dataloader, evaluation)
    tuning_seconds = time.monotonic() - started
    failure = crash = None
    if fitted.error is not None:
        failure, crash = repr(fitted.error), way_through_users_code(fitted.error)
    if is_sigopt:
        outcome = _own_outcome(folder, config, run, model.framework, Ending(failure, crash=crash))
        return RunEnd(outcome, watch.by_person)
    if fitted.model is not None:
        try:
            _save_despite_timeout(fitted.model, folder / best_model_file(model.framework))
        except OSError as error:
            failure = f"The best model could not be saved: {error}."
    trials = trials_from_events(read_events(folder), run.name)
    outcome = outcome_from_events(
        read_events(folder),
        run,
        config,
        folder,
        framework=model.framework,
        batch_size=pipeline.batch_size,
        ending=Ending(failure, watch.by_person, tuning_seconds, crash),
    )
    if run.strategy.calibration != STOCK:
        outcome = dataclasses.replace(outcome, calibration=usage.as_dict())
    if outcome.best is not None and _recipe_written(folder, outcome.best.number):
        outcome = dataclasses.replace(outcome, files={**outcome.files, "recipe": RECIPE_FILE})
    drop_leftovers(folder)
    outcome = publish(outcome, folder, {"trials": lambda: write_trials(trials, folder)})
    return RunEnd(outcome, watch.by_person)


def _own_outcome(
    folder: Path, config: RunConfig, run: PlannedRun, framework: str, ending: Ending
) -> Outcome:
    if (folder / OUTCOME_FILE).exists():
        return read_outcome(folder)
    outcome = outcome_from_events(
        read_events(folder),
        run,
        config,
        folder,
        framework=framework,
        ending=dataclasses.replace(
            ending, failure=ending.failure or "the strategy left no outcome.json"
        ),
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
    # INC's model objects: TensorFlow's have a graph, ONNX's the model itself.
    kept = model.graph_def if hasattr(model, "graph_def") else model.model
    write_whole(path, kept.SerializeToString())
