"""The models that the runs found, and their trials, timed in this process, in turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.judging.comparison import StrategyResult
from nc_sigopt_benchmarks.judging.timing import (
    FP32,
    Samples,
    paired_comparison,
    time_models,
    time_trials,
    timed_model,
)
from nc_sigopt_benchmarks.models.model_files import OpenSession
from nc_sigopt_strategy.results.trial_record import TrialRecord

DEFAULT_INT8 = "default int8"
BASIC = "basic"


@dataclass(frozen=True)
class SideBySide:
    """What the timing gave.

    Attributes:
        samples: Raw seconds by model.
        results: The runs' results, with their timings in.
        default_trial: The trial of Neural Compressor's default int8 model, if one was kept.
    """

    samples: Samples
    results: list[StrategyResult]
    default_trial: TrialRecord | None


def time_side_by_side(
    config: RunConfig,
    results: Sequence[StrategyResult],
    models: Mapping[str, Path],
    folders: Mapping[str, Path],
    open_session: OpenSession,
    fp32: Path,
    batch: Any,
    tell: Callable[[str], None],
) -> SideBySide:
    """Time FP32, the default int8 model and every model found, then the trials without a latency.

    Args:
        config: The run configuration.
        results: What came of the runs, in any order.
        models: Label of a run to the file of the model that it found or built.
        folders: Label of a run to the folder with the models of its trials.
        open_session: Opens a model's file.
        fp32: The FP32 model.
        batch: What is timed.
        tell: Gets lines about what goes on.

    Raises:
        ModelError: One of the models cannot be loaded.
    """
    paths = dict(models)
    default = _default_int8(results, models, folders)
    if default is not None:
        paths[DEFAULT_INT8] = default[1]
    tell(f"Timing {len(paths) + 1} models side by side, {config.timing.rounds} rounds.")
    samples = time_models(
        open_session, fp32, paths, batch, rounds=config.timing.rounds, seed=config.tuning.seed
    )
    reference = DEFAULT_INT8 if DEFAULT_INT8 in paths else FP32
    seconds = timed_model(reference, samples).latency_seconds.value
    basic = _basic_labels(results, samples)
    timed = []
    for result in results:
        trials: Sequence[TrialRecord] = result.trials
        built_at_once = len(trials) == 1 and result.label in samples
        if result.label in folders and not built_at_once and _lack_latencies(trials):
            tell(
                f"Timing the trials of {result.label}, at most {config.timing.trial_seconds:g} s."
            )
            trials = time_trials(
                open_session,
                folders[result.label],
                trials,
                batch,
                reference=paths.get(reference, fp32),
                reference_seconds=seconds,
                rounds=config.timing.trial_rounds,
                seconds=config.timing.trial_seconds,
            )
        timed.append(_with_timing(result, tuple(trials), samples, basic.get(result.repeat)))
    return SideBySide(samples, timed, default[0] if default else None)


def _with_timing(
    result: StrategyResult, trials: tuple[TrialRecord, ...], samples: Samples, basic: str | None
) -> StrategyResult:
    result = dataclasses.replace(result, trials=trials)
    if result.label not in samples:
        return result
    over_basic = None
    if basic is not None and basic != result.label:
        over_basic = paired_comparison(result.label, basic, samples)
    timed = timed_model(result.label, samples)
    return dataclasses.replace(result, timed=timed, over_basic=over_basic)


def _basic_labels(results: Sequence[StrategyResult], samples: Samples) -> dict[int, str]:
    """For each repeat the run of "basic" that the others are compared with, if it found any."""
    labels: dict[int, str] = {}
    # Where "basic" is there twice, the one under its own name: the other calibrates once.
    for result in sorted(results, key=lambda result: result.strategy != BASIC):
        if result.found and _is_basic(result) and result.label in samples:
            labels.setdefault(result.repeat, result.label)
    return labels


def _default_int8(
    results: Sequence[StrategyResult], models: Mapping[str, Path], folders: Mapping[str, Path]
) -> tuple[TrialRecord, Path] | None:
    """The trial of Neural Compressor's default int8 model, if some run kept its graph."""
    for result in results:
        folder = folders.get(result.label)
        for trial in result.trials:
            # The first trial of basic is the default configuration.
            is_default = trial.origin == f"seed: {DEFAULT_INT8}" or (
                _is_basic(result) and trial.number == 1
            )
            if is_default and trial.model_path and folder is not None:
                path = folder / trial.model_path
                if path.is_file() and path != models.get(result.label):
                    return trial, path
    return None


def _is_basic(result: StrategyResult) -> bool:
    return result.outcome is not None and result.outcome.strategy == BASIC


def _lack_latencies(trials: Sequence[TrialRecord]) -> bool:
    return any(trial.model_path for trial in trials) and not any(
        trial.latency_seconds is not None for trial in trials
    )
