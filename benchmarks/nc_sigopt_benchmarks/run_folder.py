"""The folder that a run leaves, and the files in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from nc_sigopt_benchmarks.config import RunConfig
from nc_sigopt_benchmarks.stock_record import BEST_MODEL_FILE
from nc_sigopt_strategy.errors import ConfigFileError, MissingExtraError
from nc_sigopt_strategy.outcome import RECIPE_FILE, TRIALS_FILE
from nc_sigopt_strategy.reporting import html, plots
from nc_sigopt_strategy.reporting.comparison import Comparison, StrategyResult

RESULTS_FILE = "results.json"


def new_run_folder(config: RunConfig) -> Path:
    """Make ``<output>/<name>-<timestamp>``, with a number behind it if it is there already.

    Raises:
        ConfigFileError: The output folder cannot be written.
    """
    stem = f"{config.name}-{datetime.now():%Y%m%d-%H%M%S}"
    for attempt in range(1, 100):
        folder = config.output / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigFileError(
                f"{config.path}: the run folder {folder} cannot be made: {error}.",
                "Set the key output to a folder that can be written.",
            ) from error
        return folder.resolve()
    raise ConfigFileError(
        f"{config.path}: {config.output} holds 99 folders called {stem} already.",
        "Set the key output to another folder.",
    )


def write_run(comparison: Comparison, folder: Path) -> list[str]:
    """Write everything about a comparison that is not written yet.

    Returns:
        Sentences about what could not be written, for instance for lack of matplotlib.
    """
    (folder / RESULTS_FILE).write_text(
        json.dumps(comparison.to_json(), indent=2) + "\n", encoding="utf-8"
    )
    _write_trials(comparison.strategies, folder / TRIALS_FILE)
    best = next((s for s in comparison.strategies if s.label == comparison.best_label), None)
    if best is not None:
        _copy_best(folder / best.label, folder)
    try:
        images = {
            "Accuracy against latency. Filled: meets the bound; ringed: returned.": (
                plots.accuracy_vs_latency(comparison, folder / plots.ACCURACY_PLOT)
            ),
            "Latency of the fastest model so far that meets the bound, over trials.": (
                plots.best_latency_vs_trials(comparison, folder / plots.PROGRESS_PLOT)
            ),
        }
        html.write_report(comparison, images, folder / html.REPORT_FILE)
    except MissingExtraError as error:
        return [str(error)]
    return []


def drop_trial_models(folders: Iterable[Path]) -> None:
    """Delete the graphs that were kept to be timed: megabytes each, and timed by now."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _write_trials(strategies: Iterable[StrategyResult], path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for strategy in strategies:
            for trial in strategy.trials:
                line = {"strategy": strategy.label, **trial.to_json()}
                stream.write(json.dumps(line, sort_keys=True) + "\n")


def _copy_best(source: Path, folder: Path) -> None:
    for name in (BEST_MODEL_FILE, RECIPE_FILE):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
