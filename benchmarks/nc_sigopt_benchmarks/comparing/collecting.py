"""What the process of a run left, as far as it got."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.judging.accuracy_statistics import sampling_interval
from nc_sigopt_benchmarks.judging.comparison import StrategyResult
from nc_sigopt_benchmarks.running.availability import strategy_note
from nc_sigopt_benchmarks.running.child import ChildEnd
from nc_sigopt_benchmarks.running.resource_usage import read_peak_memory
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_benchmarks.running.stock_record import (
    Ending,
    outcome_from_events,
    trials_from_events,
)
from nc_sigopt_strategy.files import read_json, write_whole
from nc_sigopt_strategy.jobs.evaluation import read_events
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import (
    OUTCOME_FILE,
    TRIALS_FILE,
    read_outcome,
    read_trials,
    write_outcome,
)

# It is there when a run came to its end, however: then it need not be run again.
END_FILE = "end.json"


def write_end(folder: Path, end: ChildEnd, host: dict[str, Any]) -> None:
    """Note that a run is over, and on which machine it was."""
    plain = {**dataclasses.asdict(end), "host": host}
    del plain["interrupted"]
    with contextlib.suppress(OSError):  # costs no more than that the run would be made again
        write_whole(folder / END_FILE, json.dumps(plain, indent=2) + "\n")


def read_end(folder: Path) -> tuple[ChildEnd, dict[str, Any]] | None:
    """What ``write_end`` wrote; ``None`` for a run that is not over."""
    try:
        raw = read_json(folder / END_FILE)
    except (OSError, ValueError):
        return None
    end = ChildEnd(raw["failure"], wrong_use=bool(raw["wrong_use"]), crash=raw.get("crash"))
    return end, raw["host"]


def collect(
    config: RunConfig,
    run: PlannedRun,
    folder: Path,
    end: ChildEnd,
    *,
    framework: str,
    batch_size: int,
    evaluation_size: int | None,
) -> StrategyResult:
    """The result of a run from the files in its folder.

    Args:
        config: The run configuration.
        run: Which of its runs.
        folder: Of the run.
        end: How its process ended.
        framework: Of the model.
        batch_size: Inputs in the timed batch.
        evaluation_size: Inputs that evaluate, where known.
    """
    failure = end.failure
    events = read_events(folder)
    if (folder / OUTCOME_FILE).exists():
        outcome = read_outcome(folder)
    else:
        outcome = outcome_from_events(
            events,
            run,
            config,
            folder,
            framework=framework,
            batch_size=batch_size,
            ending=Ending(failure, interrupted=failure is None, crash=end.crash),
        )
        with contextlib.suppress(OSError):  # results.json has it too
            write_outcome(outcome, folder)
    if (folder / TRIALS_FILE).exists():
        trials = read_trials(folder)
    else:
        trials = trials_from_events(events, run.name)
    # `fit` swallows what tuning raises, so a worker may end well with a strategy that did not.
    if failure is None and not outcome.found:
        failure = outcome.error
    resident = [event["resident_bytes"] for event in events if event.get("resident_bytes")]
    return StrategyResult(
        run.label,
        outcome,
        tuple(trials),
        failure=failure,
        note=strategy_note(run),
        wrong_use=end.wrong_use,
        crash=end.crash or outcome.crash,
        strategy=run.strategy.label,
        repeat=run.repeat,
        accuracy_interval=_accuracy_interval(outcome, evaluation_size),
        peak_memory_bytes=read_peak_memory(folder) or max(resident, default=None),
        model_bytes=model_size(model_file(outcome, folder)),
        name=run.name,
    )


def collect_rival(run: PlannedRun, folder: Path, end: ChildEnd) -> StrategyResult:
    """The result of a rival's run: what it made is judged with the other models."""
    return StrategyResult(
        run.label,
        None,
        failure=end.failure,
        wrong_use=end.wrong_use,
        crash=end.crash,
        strategy=run.strategy.label,
        repeat=run.repeat,
        peak_memory_bytes=read_peak_memory(folder),
        name=run.name,
    )


def model_file(outcome: Outcome | None, folder: Path) -> Path | None:
    """The file of the model that a run returned, or built, if it is there."""
    name = outcome.files.get("model") if outcome is not None else None
    path = folder / name if name else None
    return path if path is not None and path.is_file() else None


def model_size(path: Path | None) -> int | None:
    """Bytes of a model's file, and of the weights that OpenVINO keeps beside it."""
    if path is None or not path.is_file():
        return None
    weights = path.with_suffix(".bin")
    beside = weights.stat().st_size if path.suffix == ".xml" and weights.is_file() else 0
    return path.stat().st_size + beside


def _accuracy_interval(outcome: Outcome, images: int | None) -> Interval | None:
    """Sampling interval of the returned model's accuracy, if that is a share of the images."""
    shown = outcome.best or outcome.nearest_miss
    if shown is None or shown.accuracy is None or images is None:
        return None
    right = shown.accuracy * images
    if not 0 <= shown.accuracy <= 1 or abs(right - round(right)) > 1e-6 * images:
        return None
    return sampling_interval(round(right), images)
