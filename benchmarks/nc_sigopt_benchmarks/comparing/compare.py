"""``nc-sigopt compare``: strategies one after the other under one budget, then side by side."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nc_sigopt_benchmarks.comparing.across_runtimes import begin
from nc_sigopt_benchmarks.comparing.collecting import (
    collect,
    collect_rival,
    model_file,
    read_end,
    write_end,
)
from nc_sigopt_benchmarks.comparing.in_progress import InProgress
from nc_sigopt_benchmarks.comparing.resuming import open_run_folder, set_aside
from nc_sigopt_benchmarks.comparing.run_folder import drop_trial_models, write_run
from nc_sigopt_benchmarks.comparing.runtime_judging import judge_runtimes
from nc_sigopt_benchmarks.comparing.summarize import baseline_accuracy, summarize
from nc_sigopt_benchmarks.config.rivals import RIVALS
from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.datasets import known_accuracy_warning
from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.judging.held_out import judge_held_out
from nc_sigopt_benchmarks.judging.runtime_timing import beside
from nc_sigopt_benchmarks.judging.side_by_side import time_side_by_side
from nc_sigopt_benchmarks.judging.timing import FP32
from nc_sigopt_benchmarks.machine.facts import helps_int8, host_differences, host_facts
from nc_sigopt_benchmarks.machine.noise import NoiseMonitor, noise_verdict
from nc_sigopt_benchmarks.models.model_files import session_opener
from nc_sigopt_benchmarks.running import child
from nc_sigopt_benchmarks.running.availability import skip_reason, strategy_note
from nc_sigopt_benchmarks.running.child import ChildEnd, run_child
from nc_sigopt_benchmarks.running.evaluation import MODELS_FOLDER
from nc_sigopt_benchmarks.running.model_forms import model_form
from nc_sigopt_benchmarks.running.prepared import prepare
from nc_sigopt_benchmarks.running.run_plan import PlannedRun, planned_runs
from nc_sigopt_benchmarks.running.worker import Request
from nc_sigopt_strategy.console.log_file import LOG_FILE
from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.jobs.quiet import native_output_in

Tell = Callable[[str], None]


def compare(
    config: RunConfig, tell: Tell, *, progress: bool | None = None, resume: Path | None = None
) -> tuple[Comparison, Path]:
    """Make every run of the configuration, time what they found, write the run folder.

    Args:
        config: The run configuration.
        tell: Gets lines of text about what goes on. It is called while descriptor 2 points
            elsewhere, so it must not write there.
        progress: As ``TuningProgress``'s ``enabled``.
        resume: The folder of a comparison that was interrupted: runs that came to their end in it
            are not made again.

    Returns:
        What was found, and the run folder. An interrupted comparison has what there was by then.

    Raises:
        SigOptStrategyError: The configuration, the model, the data or ``resume`` cannot be used.
    """
    # First of all: the load should be the machine's, not that of our own preparation.
    host = host_facts()
    prepared = prepare(config, tell)
    clock = time.monotonic()
    folder = open_run_folder(config, resume)
    now = InProgress(config, prepared, folder, host, planned_runs(config))
    tell(f"Run folder: {folder}")
    _tell_of_host(now, tell)
    if config.across_runtimes:
        now.across = begin(config, prepared, folder, tell)
    with NoiseMonitor() as monitor:
        for run in now.runs:
            _make_run(now, run, tell, progress)
            if now.interrupted:
                break
        if not now.interrupted:
            (_time_and_judge if now.across is None else _judge_runtimes)(now, tell)
    now.noise = noise_verdict(monitor.facts(), now.samples[FP32] if now.samples else ())
    if not now.interrupted:
        drop_trial_models(folder / result.label / MODELS_FOLDER for result in now.results)
    now.notes.extend(_known_accuracy(now))
    comparison = summarize(now, time.monotonic() - clock)
    with native_output_in(folder / LOG_FILE):
        sentences = write_run(comparison, folder, prepared.model)
    for sentence in sentences:
        tell(sentence)
    return comparison, folder


def _tell_of_host(now: InProgress, tell: Tell) -> None:
    if now.host["busy"]:
        load = now.host["load_average_1_minute"]
        tell(f"The machine is busy (load average {load}): latencies will be less certain.")
    if not helps_int8(now.host):
        sentence = "This CPU has neither VNNI nor AMX: int8 may gain little here."
        tell(sentence)
        now.notes.append(sentence)


def _make_run(now: InProgress, run: PlannedRun, tell: Tell, progress: bool | None) -> None:
    folder = now.folder / run.label
    reason = skip_reason(run, now.prepared.model)
    if reason is not None:
        tell(f"{run.label} is skipped: {reason}")
        now.results.append(_skipped(run, reason))
        return
    known = read_end(folder)
    if known is not None:
        tell(f"{run.label} was run before.")
        end, host = known
    else:
        tell(f"Tuning with {run.label}, budget {run.budget}; its log: {folder / LOG_FILE}")
        end, host = _start(now, run, folder, progress), now.host
        now.interrupted = now.interrupted or end.interrupted
        if not end.interrupted:
            write_end(folder, end, host)
    prepared = now.prepared
    if run.name in RIVALS:
        result = collect_rival(run, folder, end)
    else:
        result = collect(
            now.config,
            run,
            folder,
            end,
            framework=run.strategy.runtime or prepared.model.framework,
            batch_size=prepared.batch_size,
            evaluation_size=prepared.evaluation_size,
        )
    if host_differences(host, now.host):
        result = dataclasses.replace(result, host=host)
    now.results.append(result)


def _start(now: InProgress, run: PlannedRun, folder: Path, progress: bool | None) -> ChildEnd:
    try:
        set_aside(folder)
        folder.mkdir()
        return run_child(_request(now, run, folder), now.config, run, progress=progress)
    except OSError as error:
        return ChildEnd(f"its process could not be started or followed: {error}")
    except ModelError as error:  # it cannot be had in the format of the run's runtime
        return ChildEnd(str(error), wrong_use=True)


def _request(now: InProgress, run: PlannedRun, folder: Path) -> child.Request:
    config, strategy = now.config, run.strategy
    if now.across is not None and run.name in RIVALS:
        return now.across.task(run, folder)
    model = model_form(config, now.prepared.model, strategy.runtime)
    python = None if strategy.environment is None else str(strategy.environment)
    return Request(config.path.resolve(), strategy.label, run.repeat, folder, model, python)


def _skipped(run: PlannedRun, reason: str) -> StrategyResult:
    return StrategyResult(
        run.label,
        None,
        skipped=reason,
        note=strategy_note(run),
        strategy=run.strategy.label,
        repeat=run.repeat,
        name=run.name,
    )


def _judge_runtimes(now: InProgress, tell: Tell) -> None:
    across = now.across
    if across is None:
        return
    try:
        judged = judge_runtimes(across, now.runs, now.results, now.folder, tell)
    except KeyboardInterrupt:
        now.interrupted = True
        return
    except Exception as error:  # the tuning, which took the time, is worth more than this
        now.notes.append(f"The models found were not timed in turn: {_reason(error)}.")
        return
    finally:
        across.close()
    now.judged, now.results = judged, judged.results
    first = judged.samples[0]
    if judged.reference in first.wall:
        now.samples = beside(first.wall, judged.reference)


def _time_and_judge(now: InProgress, tell: Tell) -> None:
    model, config = now.prepared.model, now.config
    open_session = session_opener(model, config.model.session)
    folders = {run.label: now.folder / run.label for run in now.runs}
    models = {
        result.label: path
        for result in now.results
        if (path := model_file(result.outcome, folders[result.label])) is not None
    }
    try:
        with native_output_in(now.folder / LOG_FILE):
            timed = time_side_by_side(
                config,
                now.results,
                models,
                folders,
                open_session,
                model.path,
                now.prepared.batch,
                tell,
            )
            now.samples, now.default_trial = timed.samples, timed.default_trial
            now.results = timed.results
    except KeyboardInterrupt:
        now.interrupted = True
        return
    except Exception as error:  # the tuning, which took the time, is worth more than this
        now.notes.append(f"The models found were not all timed side by side: {_reason(error)}.")
    if not config.data.held_out_images:
        return
    try:
        with native_output_in(now.folder / LOG_FILE):
            judged = judge_held_out(config, model, models, open_session, now.folder, tell)
    except KeyboardInterrupt:
        now.interrupted = True
    except Exception as error:
        now.notes.append(f"The models found were not judged on held-out images: {_reason(error)}.")
    else:
        now.results = [
            dataclasses.replace(result, held_out=judged.get(result.label))
            for result in now.results
        ]


def _known_accuracy(now: InProgress) -> Iterator[str]:
    """A warning where the FP32 accuracy shows that the images are fed wrongly."""
    baseline = baseline_accuracy(now.results)
    images = now.prepared.evaluation_size
    if baseline is not None and images is not None:
        warning = known_accuracy_warning(now.prepared.model, baseline, images, now.config.data)
        if warning is not None:
            yield warning


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or repr(error)
