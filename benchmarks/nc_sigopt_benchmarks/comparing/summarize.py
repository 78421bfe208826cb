"""A comparison from the results of its runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.comparing.collecting import model_file
from nc_sigopt_benchmarks.comparing.run_folder import with_model_paths
from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.judging.side_by_side import DEFAULT_INT8
from nc_sigopt_benchmarks.judging.timing import FP32, Samples, timed_model
from nc_sigopt_benchmarks.judging.verdicts import best_strategy, bound_text, verdicts
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_strategy.results.run_files import RECIPE_FILE
from nc_sigopt_strategy.results.trial_record import TrialRecord


def summarize(
    config: RunConfig,
    model: BenchmarkModel,
    results: Sequence[StrategyResult],
    folder: Path,
    *,
    samples: Samples | None,
    default_trial: TrialRecord | None,
    notes: Sequence[str],
    batch_size: int,
    evaluation_size: int | None,
    data_description: str,
    host: Mapping[str, Any],
    noise: Mapping[str, Any],
    started: datetime,
    total_seconds: float,
    interrupted: bool,
) -> Comparison:
    """Put everything together; arguments as the attributes of ``Comparison``."""
    criterion = config.accuracy_criterion
    baseline = baseline_accuracy(results)
    higher = criterion.higher_is_better
    best = best_strategy(results, samples, higher)
    sentences = [*verdicts(results, samples, higher), *notes]
    if best is not None:
        sentences.append(_best_sentence(best, folder))
    if evaluation_size:
        sentences.append(f"One evaluation image is {1 / evaluation_size:.4f} of accuracy.")
    timed_default = samples is not None and DEFAULT_INT8 in samples
    return Comparison(
        name=config.name,
        started=started.isoformat(timespec="seconds"),
        model=model.name,
        accuracy_note=" ".join(filter(None, (model.description, data_description))),
        bound=bound_text(criterion, baseline, evaluation_size),
        baseline_accuracy=baseline,
        accuracy_target=None if baseline is None else criterion.target(baseline),
        higher_is_better=higher,
        batch_size=batch_size,
        strategies=tuple(with_model_paths(result, folder) for result in results),
        fp32=timed_model(FP32, samples) if samples else None,
        default_int8=timed_model(DEFAULT_INT8, samples) if samples and timed_default else None,
        # Its graph was one of the trials', which are deleted.
        default_int8_trial=default_trial and dataclasses.replace(default_trial, model_path=None),
        verdicts=tuple(sentences),
        best_label=best.label if best else None,
        settings=config.to_json(),
        host=host,
        interrupted=interrupted,
        total_seconds=total_seconds,
        framework=model.framework,
        evaluation_images=evaluation_size,
        noise=noise,
        model_bytes=model.path.stat().st_size if model.path.is_file() else None,
    )


def baseline_accuracy(results: Sequence[StrategyResult]) -> float | None:
    """FP32's accuracy, which is the same in all runs; ``None`` where none came so far."""
    outcomes = [result.outcome for result in results if result.outcome]
    return next((o.baseline_accuracy for o in outcomes if o.baseline_accuracy is not None), None)


def _best_sentence(best: StrategyResult, folder: Path) -> str:
    path = model_file(best.outcome, folder / best.label)
    has_recipe = (folder / best.label / RECIPE_FILE).is_file()
    name = path.name if path else "its file could not be written"
    files = f"{name}, {RECIPE_FILE}" if has_recipe else f"{name}; it has no recipe"
    return f"The run's best model ({files}) is {best.label}'s."
