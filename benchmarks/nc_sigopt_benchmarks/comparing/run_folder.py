"""The folder that a run leaves, and the files in it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.judging.reading import comparison_from_json
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.saved_models import write_saved_model
from nc_sigopt_benchmarks.reporting import html, plots
from nc_sigopt_strategy.errors import DataError, MissingExtraError
from nc_sigopt_strategy.files import read_json, write_whole
from nc_sigopt_strategy.results.run_files import RECIPE_FILE, TRIALS_FILE
from nc_sigopt_strategy.results.trial_record import TrialRecord

RESULTS_FILE = "results.json"


def read_comparison(folder: Path) -> Comparison:
    """The comparison that ``write_run`` left in a run folder.

    Raises:
        DataError: There is none, or none that can be read.
    """
    path = folder / RESULTS_FILE
    try:
        raw = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read: {error}.", "Name folders that nc-sigopt compare has written."
        ) from error
    return comparison_from_json(raw)


def write_run(
    comparison: Comparison, folder: Path, model: BenchmarkModel | None = None
) -> list[str]:
    """Write everything about a comparison that is not written yet.

    Args:
        comparison: What was found.
        folder: Run folder.
        model: What was tuned, if its best quantized version is to be written in its format too.

    Returns:
        Sentences about what could not be written, for lack of room or of matplotlib.
    """
    try:
        return _write_run(comparison, folder, model)
    except OSError as error:
        return [f"The run folder {folder} is incomplete, it could not be written: {error}."]


def _write_run(comparison: Comparison, folder: Path, model: BenchmarkModel | None) -> list[str]:
    write_whole(folder / RESULTS_FILE, json.dumps(comparison.to_json(), indent=2) + "\n")
    _write_trials(comparison.strategies, folder / TRIALS_FILE)
    best = next((s for s in comparison.strategies if s.label == comparison.best_label), None)
    if best is not None:
        _copy_best(best, folder, model)
    try:
        images = plots.draw_all(comparison, folder)
        html.write_report(comparison, images, folder / html.REPORT_FILE)
    except MissingExtraError as error:
        return [str(error)]
    return []


def drop_trial_models(folders: Iterable[Path]) -> None:
    """Delete the graphs that were kept to be timed: megabytes each, and timed by now."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def with_model_paths(result: StrategyResult, folder: Path) -> StrategyResult:
    """The same result with ``model_path`` relative to the run folder, or without one."""

    def located(trial: TrialRecord | None) -> TrialRecord | None:
        return None if trial is None else _model_located(trial, result.label, folder)

    outcome = result.outcome
    if outcome is not None:
        outcome = dataclasses.replace(
            outcome, best=located(outcome.best), nearest_miss=located(outcome.nearest_miss)
        )
    trials = tuple(_model_located(trial, result.label, folder) for trial in result.trials)
    return dataclasses.replace(result, outcome=outcome, trials=trials)


def _model_located(trial: TrialRecord, label: str, folder: Path) -> TrialRecord:
    """A trial whose ``model_path`` starts at the run folder; ``None`` where no file is left."""
    path = f"{label}/{trial.model_path}"
    kept = trial.model_path is not None and (folder / path).is_file()
    return dataclasses.replace(trial, model_path=path if kept else None)


def _write_trials(strategies: Iterable[StrategyResult], path: Path) -> None:
    lines = (
        json.dumps({"strategy": strategy.label, **trial.to_json()}, sort_keys=True) + "\n"
        for strategy in strategies
        for trial in strategy.trials
    )
    write_whole(path, "".join(lines))


def _copy_best(best: StrategyResult, folder: Path, model: BenchmarkModel | None) -> None:
    """Copy the run's best model and its recipe to where they are found first."""
    trial = best.outcome.best if best.outcome else None
    if trial is None or trial.model_path is None:
        return
    source = folder / trial.model_path
    copy = folder / source.name
    # The weights of an OpenVINO model lie beside it.
    for path in (source, source.with_suffix(".bin"), source.with_name(RECIPE_FILE)):
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    if model is not None and model.format == "saved_model" and copy.is_file():
        saved = folder / copy.stem
        shutil.rmtree(saved, ignore_errors=True)
        write_saved_model(copy, model.inputs, model.outputs, saved)
