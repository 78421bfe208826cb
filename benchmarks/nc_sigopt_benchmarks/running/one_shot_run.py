"""A model that is built without tuning, recorded like a strategy of one trial."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.datasets.pipeline import build_pipeline
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.model_files import best_model_file, evaluated_model
from nc_sigopt_benchmarks.running.evaluation import recording_evaluation
from nc_sigopt_benchmarks.running.one_shot import build_one_shot
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_benchmarks.running.stock_record import (
    Ending,
    drop_leftovers,
    outcome_from_events,
    trials_from_events,
)
from nc_sigopt_strategy.autotuning.run_folder import WORKSPACE_FOLDER
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.jobs.evaluation import read_events
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.results.run_files import publish, write_recipe, write_trials
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch

CALIBRATION_SIZE_UNKNOWN = 100


def run_one_shot(
    config: RunConfig,
    run: PlannedRun,
    model: BenchmarkModel,
    folder: Path,
    *,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> RunEnd:
    """Evaluate FP32, build the one model and evaluate it; arguments as for ``run_strategy``.

    Its model is kept and timed even if it misses the bound: it is there to be compared with.

    Raises:
        SigOptStrategyError: The strategy cannot build this model, or the data cannot be used.
    """
    pipeline = build_pipeline(config, model)
    started = time.monotonic()
    watch = InterruptWatch()
    evaluation = recording_evaluation(
        pipeline.eval_func,
        folder,
        config.accuracy_criterion,
        keep_models=False,
        stored_metrics_func=pipeline.stored_metrics_func,
        on_event=on_event,
        check_interrupt=watch.check,
    )
    saved = folder / best_model_file(model.framework)
    files: dict[str, str] = {}
    try:
        with watch:
            evaluation(evaluated_model(model))
            built = build_one_shot(
                run.name,
                run.strategy.strategy_kwargs,
                model,
                pipeline.calib_dataloader,
                folder / WORKSPACE_FOLDER,
                quant_format=config.model.quant_format,
                sampling_size=pipeline.calibration_size or CALIBRATION_SIZE_UNKNOWN,
            )
            evaluation(built.model_object)
            write_whole(saved, built.serialized)
            files["model"] = saved.name
            if built.recipe is not None:
                files["recipe"] = write_recipe(built.recipe, folder).name
    except KeyboardInterrupt:
        if not watch.by_person:
            raise
    events = read_events(folder)
    trials = [
        dataclasses.replace(trial, model_path=files.get("model"))
        for trial in trials_from_events(events, run.name)
    ]
    outcome = outcome_from_events(
        events,
        run,
        config,
        folder,
        framework=model.framework,
        batch_size=pipeline.batch_size,
        ending=Ending(interrupted=watch.by_person, seconds=time.monotonic() - started),
    )
    drop_leftovers(folder)
    outcome = dataclasses.replace(outcome, files=files)
    outcome = publish(outcome, folder, {"trials": lambda: write_trials(trials, folder)})
    return RunEnd(outcome, watch.by_person)
