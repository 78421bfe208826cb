"""``nc-sigopt compare``: strategies one after the other under one budget, then side by side."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.child import LOG_FILE, ChildEnd, run_child
from nc_sigopt_benchmarks.config import SIGOPT, RunConfig, StrategyConfig
from nc_sigopt_benchmarks.evaluation import MODELS_FOLDER, read_events
from nc_sigopt_benchmarks.models import BenchmarkModel, find_model
from nc_sigopt_benchmarks.pipeline import build_pipeline, check_fits
from nc_sigopt_benchmarks.quiet import native_output_in
from nc_sigopt_benchmarks.run_folder import (
    drop_trial_models,
    new_run_folder,
    with_model_paths,
    write_run,
)
from nc_sigopt_benchmarks.stock_record import (
    BEST_MODEL_FILE,
    outcome_from_events,
    trials_from_events,
)
from nc_sigopt_benchmarks.timing import FP32, Samples, time_models, time_trials, timed_model
from nc_sigopt_benchmarks.verdicts import best_strategy, bound_text, verdicts
from nc_sigopt_benchmarks.worker import Request
from nc_sigopt_strategy.host import host_facts
from nc_sigopt_strategy.outcome import (
    OUTCOME_FILE,
    RECIPE_FILE,
    TRIALS_FILE,
    TrialRecord,
    read_outcome,
    read_trials,
    write_outcome,
)
from nc_sigopt_strategy.reporting.comparison import Comparison, StrategyResult
from nc_sigopt_strategy.settings import Settings

DEFAULT_INT8 = "default int8"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """What stays in this process between the strategies; the images are the workers'.

    Attributes:
        model: What is tuned.
        batch: What latency is timed on.
        batch_size: Inputs in it.
        evaluation_size: Inputs that evaluate, where known.
    """

    model: BenchmarkModel
    batch: Any
    batch_size: int
    evaluation_size: int | None


@dataclass
class _Run:
    """A comparison in the making."""

    config: RunConfig
    prepared: Prepared
    folder: Path
    host: dict[str, Any]
    started: datetime = field(default_factory=datetime.now)
    clock: float = field(default_factory=time.monotonic)
    results: list[StrategyResult] = field(default_factory=list)
    samples: Samples | None = None
    default_trial: TrialRecord | None = None
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False


def prepare(config: RunConfig, tell: Tell = lambda line: None) -> Prepared:
    """Find the model and the data and check them, so that mistakes show before any tuning.

    Raises:
        SigOptStrategyError: Something is missing or wrong.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for strategy in config.strategies:
        if strategy.name == SIGOPT:
            _check_connection(strategy)
    with native_output_in(None):
        model = find_model(config.model, tell=tell)
        pipeline = build_pipeline(config.data, model)
        check_fits(model, pipeline)
    # A copy: a slice would keep all the calibration images alive.
    batch = pipeline.batch.copy() if hasattr(pipeline.batch, "copy") else pipeline.batch
    return Prepared(model, batch, pipeline.batch_size, pipeline.evaluation_size)


def _check_connection(strategy: StrategyConfig) -> None:
    """Reach the server and find the experiment that the strategy is to use, where it names any."""
    from nc_sigopt_strategy.connection import open_connections
    from nc_sigopt_strategy.experiment_opening import join_experiment

    settings = Settings.from_kwargs(strategy.strategy_kwargs)
    # A run without a storage makes a new one, in its folder.
    settings = dataclasses.replace(settings, storage=settings.storage or "sqlite:///:memory:")
    connections = open_connections(settings, seed=0)
    try:
        if settings.sigopt_experiment_id is not None:
            join_experiment(connections, settings.sigopt_experiment_id)
    finally:
        connections.local.impl.driver.close()


def compare(
    config: RunConfig, tell: Tell, *, progress: bool | None = None
) -> tuple[Comparison, Path]:
    """Run every strategy of the configuration, time what they found, write the run folder.

    Args:
        config: The run configuration.
        tell: Gets lines of text about what goes on. It is called while descriptor 2 points
            elsewhere, so it must not write there.
        progress: As ``TuningProgress``'s ``enabled``.

    Returns:
        What was found, and the run folder. An interrupted run has what there was by then.

    Raises:
        SigOptStrategyError: The configuration, the model or the data cannot be used.
    """
    # First of all: the load should be the machine's, not that of our own preparation.
    host = host_facts()
    prepared = prepare(config, tell)
    run = _Run(config, prepared, new_run_folder(config), host)
    tell(f"Run folder: {run.folder}")
    if run.host["busy"]:
        load = run.host["load_average_1_minute"]
        tell(f"The machine is busy (load average {load}): latencies will be less certain.")
    for strategy in config.strategies:
        _run_one(run, strategy, tell, progress)
        if run.interrupted:
            break
    if not run.interrupted:
        try:
            with native_output_in(run.folder / LOG_FILE):
                _time_everything(run, tell)
        except KeyboardInterrupt:
            run.interrupted = True
        except Exception as error:  # the tuning, which took the time, is worth more than this
            reason = str(error).rstrip(".") or repr(error)
            run.notes.append(f"The models found were not all timed side by side: {reason}.")
    drop_trial_models(run.folder / result.label / MODELS_FOLDER for result in run.results)
    comparison = _summarize(run)
    for sentence in write_run(comparison, run.folder):
        tell(sentence)
    return comparison, run.folder


def _run_one(run: _Run, strategy: StrategyConfig, tell: Tell, progress: bool | None) -> None:
    folder = run.folder / strategy.label
    seconds = run.config.tuning.timeout
    budget = f"{seconds} s" if seconds else f"{run.config.tuning.max_trials} trials"
    tell(f"Tuning with {strategy.label}, budget {budget}; its log: {folder / LOG_FILE}")
    request = Request(run.config.path.resolve(), strategy.label, folder, run.prepared.model)
    try:
        folder.mkdir()
        end = run_child(request, run.config, progress=progress)
    except OSError as error:
        end = ChildEnd(f"its process could not be started or followed: {error}")
    run.interrupted = run.interrupted or end.interrupted
    run.results.append(_collect(run, strategy, folder, end))


def _collect(run: _Run, strategy: StrategyConfig, folder: Path, end: ChildEnd) -> StrategyResult:
    """What a worker left, as far as it got."""
    failure = end.failure
    events = read_events(folder)
    if (folder / OUTCOME_FILE).exists():
        outcome = read_outcome(folder)
    else:
        outcome = outcome_from_events(
            events,
            strategy.name,
            run.config,
            folder,
            batch_size=run.prepared.batch_size,
            failure=failure,
            interrupted=failure is None,
        )
        with contextlib.suppress(OSError):  # results.json has it too
            write_outcome(outcome, folder)
    if (folder / TRIALS_FILE).exists():
        trials = read_trials(folder)
    else:
        trials = trials_from_events(events, strategy.name)
    # `fit` swallows what tuning raises, so a worker may end well with a strategy that did not.
    if failure is None and not outcome.found and outcome.stop_reason.startswith("It failed: "):
        failure = outcome.stop_reason.removeprefix("It failed: ")
    return StrategyResult(
        strategy.label, outcome, tuple(trials), failure=failure, wrong_use=end.wrong_use
    )


def _time_everything(run: _Run, tell: Tell) -> None:
    config, model, batch = run.config, run.prepared.model, run.prepared.batch
    paths = {
        result.label: run.folder / result.label / BEST_MODEL_FILE
        for result in run.results
        if result.found and (run.folder / result.label / BEST_MODEL_FILE).is_file()
    }
    default = _default_int8(run)
    if default is not None:
        run.default_trial, paths[DEFAULT_INT8] = default
    tell(f"Timing {len(paths) + 1} models side by side, {config.timing.rounds} rounds.")
    samples = time_models(
        model, paths, batch, rounds=config.timing.rounds, seed=config.tuning.seed
    )
    run.samples = samples
    reference = DEFAULT_INT8 if DEFAULT_INT8 in paths else FP32
    for position, result in enumerate(run.results):
        trials: Sequence[TrialRecord] = result.trials
        if any(trial.model_path for trial in trials) and not _has_latencies(trials):
            tell(
                f"Timing the trials of {result.label}, at most {config.timing.trial_seconds:g} s."
            )
            trials = time_trials(
                model,
                run.folder / result.label,
                trials,
                batch,
                reference=paths.get(reference, model.path),
                reference_seconds=timed_model(reference, samples).latency_seconds.value,
                rounds=config.timing.trial_rounds,
                seconds=config.timing.trial_seconds,
            )
        timed = timed_model(result.label, samples) if result.label in samples else None
        run.results[position] = dataclasses.replace(result, trials=tuple(trials), timed=timed)


def _default_int8(run: _Run) -> tuple[TrialRecord, Path] | None:
    """The trial of Neural Compressor's default int8 model, if some strategy kept its graph."""
    for result in run.results:
        strategy = run.config.strategy(result.label)
        for trial in result.trials:
            # The first trial of basic is the default configuration.
            is_default = trial.origin == f"seed: {DEFAULT_INT8}" or (
                strategy.name == "basic" and trial.number == 1
            )
            if is_default and trial.model_path:
                path = run.folder / result.label / trial.model_path
                if path.is_file() and path.name != BEST_MODEL_FILE:
                    return trial, path
    return None


def _has_latencies(trials: Sequence[TrialRecord]) -> bool:
    return any(trial.latency_seconds is not None for trial in trials)


def _summarize(run: _Run) -> Comparison:
    config, model = run.config, run.prepared.model
    criterion = config.accuracy_criterion
    outcomes = [result.outcome for result in run.results if result.outcome]
    baseline = next(
        (o.baseline_accuracy for o in outcomes if o.baseline_accuracy is not None), None
    )
    higher = criterion.higher_is_better
    best = best_strategy(run.results, run.samples, higher)
    sentences = [*verdicts(run.results, run.samples, higher), *run.notes]
    if best is not None:
        has_recipe = (run.folder / best.label / RECIPE_FILE).is_file()
        files = "best_model.pb, recipe.json" if has_recipe else "best_model.pb; it has no recipe"
        sentences.append(f"The run's best model ({files}) is {best.label}'s.")
    if run.prepared.evaluation_size:
        sentences.append(
            f"One evaluation image is {1 / run.prepared.evaluation_size:.4f} of accuracy."
        )
    return Comparison(
        name=config.name,
        started=run.started.isoformat(timespec="seconds"),
        model=model.name,
        accuracy_note=model.description,
        bound=bound_text(criterion, baseline, run.prepared.evaluation_size),
        baseline_accuracy=baseline,
        accuracy_target=None if baseline is None else criterion.target(baseline),
        higher_is_better=higher,
        batch_size=run.prepared.batch_size,
        strategies=tuple(with_model_paths(result, run.folder) for result in run.results),
        fp32=timed_model(FP32, run.samples) if run.samples else None,
        default_int8=(
            timed_model(DEFAULT_INT8, run.samples)
            if run.samples and DEFAULT_INT8 in run.samples
            else None
        ),
        # Its graph was one of the trials', which are deleted.
        default_int8_trial=run.default_trial
        and dataclasses.replace(run.default_trial, model_path=None),
        verdicts=tuple(sentences),
        best_label=best.label if best else None,
        settings=config.to_json(),
        host=run.host,
        interrupted=run.interrupted,
        total_seconds=time.monotonic() - run.clock,
    )
