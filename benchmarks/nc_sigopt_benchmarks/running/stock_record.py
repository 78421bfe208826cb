"""The record of a strategy that keeps none: typed trials and an outcome from ``events.jsonl``.

It serves the stock strategies, and any strategy whose process ended without a word.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.models.model_files import best_model_file, file_fingerprint
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_strategy.autotuning.run_folder import WORKSPACE_FOLDER
from nc_sigopt_strategy.hosts.inc.recipe import op_name_dict
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import write_recipe
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

# Neural Compressor leaves calibration graphs and printed activations of tens of megabytes in its
# workspace; what is worth keeping there is small.
_LEFTOVER_BYTES = 1 << 20
Event = Mapping[str, Any]


@dataclass(frozen=True)
class Ending:
    """How a run ended, as far as its evaluations do not tell.

    Attributes:
        failure: What ended it early, if anything did.
        interrupted: Whether Ctrl-C ended it.
        seconds: Wall time of the run; ``None``: the last event's time.
        crash: The way through the user's own code, where that ended it.
    """

    failure: str | None = None
    interrupted: bool = False
    seconds: float | None = None
    crash: str | None = None


def trials_from_events(events: Sequence[Event], strategy: str) -> list[TrialRecord]:
    """One record per evaluation after the baseline's."""
    trials = []
    previous_end = next((event["ended_seconds"] for event in events if event["trial"] == 0), 0.0)
    for event in events:
        if event["trial"] == 0:
            continue
        valid = event["accuracy"] is not None
        trials.append(
            TrialRecord(
                number=event["trial"],
                state=TrialState.OBSERVED if valid else TrialState.FAILED,
                origin=strategy,
                accuracy=event["accuracy"],
                meets_bound=event["meets_bound"],
                duration_seconds=event["duration_seconds"],
                failure=None if valid else "the evaluation returned no finite number",
                # What is not evaluation was spent on quantizing, from the end of the last trial.
                phase_seconds={
                    "quantize": event["started_seconds"] - previous_end,
                    "evaluate": event["duration_seconds"],
                },
                started_seconds=previous_end,
                ended_seconds=event["ended_seconds"],
                model_path=event["model_path"],
                stored_metrics=event.get("stored_metrics", {}),
            )
        )
        previous_end = event["ended_seconds"]
    return trials


def outcome_from_events(
    events: Sequence[Event],
    run: PlannedRun,
    config: RunConfig,
    folder: Path,
    *,
    framework: str,
    ending: Ending,
    batch_size: int | None = None,
) -> Outcome:
    """How the run ended, as far as the calls of the evaluation tell.

    Args:
        events: Lines of ``events.jsonl``.
        run: Which run of the configuration.
        config: The run configuration.
        folder: The run's folder; the best model's file in it counts as the model found.
        framework: ``tensorflow`` or ``onnxruntime``.
        ending: How it ended.
        batch_size: Inputs in a batch.
    """
    criterion = config.accuracy_criterion
    trials = trials_from_events(events, run.name)
    baseline = next((event for event in events if event["trial"] == 0), None)
    accuracy = baseline["accuracy"] if baseline else None
    target = criterion.target(accuracy) if accuracy is not None else None
    feasible = [trial for trial in trials if trial.meets_bound]
    saved = folder / best_model_file(framework)
    best = _returned_trial(saved, feasible, folder) if saved.exists() else None
    if best is not None:
        best = dataclasses.replace(best, model_path=saved.name)
    sign = 1.0 if criterion.higher_is_better else -1.0
    measured = [trial for trial in trials if trial.accuracy is not None]
    nearest = max(measured, key=lambda trial: sign * (trial.accuracy or 0.0), default=None)
    seconds = ending.seconds
    if seconds is None:
        seconds = events[-1]["ended_seconds"] if events else 0.0
    return Outcome(
        strategy=run.name,
        found=best is not None,
        stop_reason="It was interrupted."
        if ending.interrupted
        else _stop_reason(run, len(trials), seconds, best is not None, ending.failure),
        baseline_accuracy=accuracy,
        baseline_duration_seconds=baseline["duration_seconds"] if baseline else None,
        accuracy_target=target,
        higher_is_better=criterion.higher_is_better,
        batch_size=batch_size,
        best=best,
        nearest_miss=None if best else nearest,
        trials=len(trials),
        tuning_seconds=seconds,
        files={"model": saved.name} if best else {},
        seconds_to_first_feasible=feasible[0].ended_seconds if feasible else None,
        error=None if ending.interrupted else ending.failure,
        crash=None if ending.interrupted else ending.crash,
    )


def write_stock_recipe(folder: Path, number: int) -> bool:
    """Write ``recipe.json`` of a trial, from Neural Compressor's own history.

    Args:
        folder: The strategy's folder.
        number: Of the trial; the history has one entry per evaluated trial, in order.

    Returns:
        Whether the history has that trial.
    """
    path = folder / WORKSPACE_FOLDER / "history.snapshot"
    if not path.is_file():
        return False
    # A pickle that this very process wrote a moment ago; INC's own reader for it takes other
    # arguments in each version.
    with path.open("rb") as stream:
        history = pickle.load(stream).tuning_history
    entries = history[0]["history"] if history else []
    if number > len(entries):
        return False
    write_recipe(op_name_dict(entries[number - 1]["tune_cfg"]["op"]), folder)
    return True


def drop_leftovers(folder: Path) -> None:
    """Delete what Neural Compressor leaves in its workspace and nobody needs."""
    for path in (folder / WORKSPACE_FOLDER).rglob("*"):
        if path.is_file() and path.stat().st_size > _LEFTOVER_BYTES:
            path.unlink()


def _returned_trial(
    saved: Path, feasible: Sequence[TrialRecord], folder: Path
) -> TrialRecord | None:
    """Which trial the returned model is of.

    Neural Compressor does not say; the graphs tell. Where it quantized the model once more and
    the graph came out differently, the trial that its own rule (least evaluation time) prefers.
    """
    if not feasible:
        return None
    wanted = file_fingerprint(saved)
    for trial in reversed(feasible):
        if trial.model_path and file_fingerprint(folder / trial.model_path) == wanted:
            return trial
    return min(feasible, key=lambda trial: trial.duration_seconds or float("inf"))


def _stop_reason(
    run: PlannedRun, trials: int, seconds: float, found: bool, failure: str | None
) -> str:
    if failure:
        return f"It failed: {failure}"
    if run.timeout and seconds >= run.timeout:
        return f"The time budget of {run.timeout} s was spent."
    if trials >= run.max_trials:
        return f"The observation budget of {run.max_trials} trials was spent."
    if found and not run.timeout:
        return "It stops at the first model that meets the bound."
    return "The strategy had nothing more to try."
