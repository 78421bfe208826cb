"""A comparison from the results of its runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from nc_sigopt_benchmarks.comparing.collecting import model_file
from nc_sigopt_benchmarks.comparing.in_progress import InProgress
from nc_sigopt_benchmarks.comparing.run_folder import with_model_paths
from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.judging.runtime_rows import RuntimeRow
from nc_sigopt_benchmarks.judging.runtime_verdicts import runtime_verdicts
from nc_sigopt_benchmarks.judging.side_by_side import DEFAULT_INT8
from nc_sigopt_benchmarks.judging.timing import FP32, timed_model
from nc_sigopt_benchmarks.judging.verdicts import (
    best_strategy,
    bound_text,
    verdicts,
    without_model,
)
from nc_sigopt_strategy.results.run_files import RECIPE_FILE


def summarize(now: InProgress, total_seconds: float) -> Comparison:
    """What a comparison came to, as far as it got."""
    config, model, results = now.config, now.prepared.model, now.results
    samples, evaluation_size = now.samples, now.prepared.evaluation_size
    criterion = config.accuracy_criterion
    baseline = baseline_accuracy(results) if now.across is None else now.across.baseline
    higher = criterion.higher_is_better
    best = best_strategy(results, samples, higher)
    sentences = [*_verdicts(now, higher), *now.notes]
    if best is not None and now.judged is None:
        sentences.append(_best_sentence(best, now.folder))
    if evaluation_size:
        sentences.append(f"One evaluation image is {1 / evaluation_size:.4f} of accuracy.")
    timed_default = samples is not None and DEFAULT_INT8 in samples
    return Comparison(
        name=config.name,
        started=now.started.isoformat(timespec="seconds"),
        model=model.name,
        accuracy_note=" ".join(filter(None, (model.description, now.prepared.data_description))),
        bound=bound_text(criterion, baseline, evaluation_size),
        baseline_accuracy=baseline,
        accuracy_target=None if baseline is None else criterion.target(baseline),
        higher_is_better=higher,
        batch_size=now.prepared.batch_size,
        strategies=tuple(with_model_paths(result, now.folder) for result in results),
        fp32=timed_model(FP32, samples) if samples else None,
        default_int8=timed_model(DEFAULT_INT8, samples) if samples and timed_default else None,
        # Its graph was one of the trials', which are deleted.
        default_int8_trial=now.default_trial
        and dataclasses.replace(now.default_trial, model_path=None),
        verdicts=tuple(sentences),
        best_label=best.label if best else None,
        settings=config.to_json(),
        host=now.host,
        interrupted=now.interrupted,
        total_seconds=total_seconds,
        framework=model.framework,
        evaluation_images=evaluation_size,
        noise=now.noise,
        model_bytes=model.path.stat().st_size if model.path.is_file() else None,
        runtimes=_rows(now),
    )


def _verdicts(now: InProgress, higher: bool) -> list[str]:
    judged = now.judged
    if judged is None:
        return verdicts(now.results, now.samples, higher)
    # Models that were built are judged by their rows.
    others = (s for s in now.results if not s.is_rival or s.skipped or s.failure)
    return [
        *runtime_verdicts(judged.rows, judged.samples, judged.reference),
        *(text for strategy in others if (text := without_model(strategy))),
    ]


def _rows(now: InProgress) -> tuple[RuntimeRow, ...]:
    """The rows, with the paths of models in the run folder relative to it."""
    rows = []
    for row in now.judged.rows if now.judged else ():
        deployed, folder = dict(row.deployed), now.folder.resolve()
        if deployed and folder in Path(deployed["path"]).parents:
            deployed["path"] = str(Path(deployed["path"]).relative_to(folder))
        rows.append(dataclasses.replace(row, deployed=deployed))
    return tuple(rows)


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
