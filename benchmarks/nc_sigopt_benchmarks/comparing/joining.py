"""``nc-sigopt compare --from``: comparisons that were made before, drawn again or joined."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nc_sigopt_benchmarks.comparing.run_folder import read_comparison, write_run
from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.datasets.pipeline import build_pipeline
from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.judging.side_by_side import time_side_by_side
from nc_sigopt_benchmarks.judging.timed_models import TimedModel
from nc_sigopt_benchmarks.judging.timing import FP32, timed_model
from nc_sigopt_benchmarks.judging.verdicts import best_strategy, verdicts
from nc_sigopt_benchmarks.machine.facts import host_differences, host_facts
from nc_sigopt_benchmarks.models.find import find_model
from nc_sigopt_benchmarks.models.model_files import session_opener
from nc_sigopt_strategy.autotuning.run_folder import new_run_folder
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.results.trial_record import TrialRecord

Tell = Callable[[str], None]
# Figures of comparisons that differ in one of these do not belong into one table.
_SAME = ("model", "framework", "batch_size", "higher_is_better", "evaluation_images", "bound")


@dataclass(frozen=True)
class _Earlier:
    """A comparison that was read from its folder."""

    folder: Path
    comparison: Comparison


def redraw(
    folders: Sequence[Path], output: Path | None, tell: Tell, *, retime: bool = False
) -> tuple[Comparison, Path]:
    """Write the report of one comparison again, or of several as one.

    Args:
        folders: Run folders.
        output: Folder for the new run folder; ``None``: a single comparison is redrawn in its own
            folder, several go into a new one in ``runs``.
        tell: Gets lines about what goes on.
        retime: Time all models found side by side once more. Without it each keeps the latency of
            its own comparison, and only its ratios to the others of that comparison.

    Raises:
        DataError: A folder holds no comparison, or two cannot be joined.
        ModelError: For ``retime``: a model is not there any more.
    """
    earlier = [_Earlier(folder.resolve(), read_comparison(folder)) for folder in folders]
    _refuse_runtimes(earlier, retime)
    for other in earlier[1:]:
        _refuse_differences(earlier[0], other)
    alone = len(earlier) == 1 and output is None
    comparison = earlier[0].comparison
    config = RunConfig.from_json(comparison.settings)
    if alone:
        folder = earlier[0].folder
    else:
        name = comparison.name if len(earlier) == 1 else "joined"
        folder = new_run_folder(name, output or config.output, config.path)
        comparison = _joined(earlier, folder, name)
    if retime:
        comparison = _retimed(comparison, config, folder, tell)
    for sentence in write_run(comparison, folder):
        tell(sentence)
    return comparison, folder


def _refuse_runtimes(earlier: Sequence[_Earlier], retime: bool) -> None:
    across = next((part for part in earlier if part.comparison.runtimes), None)
    if across is not None and (retime or len(earlier) > 1):
        what = "timed again" if retime else "joined"
        raise DataError(
            f"{across.folder} compares models across runtimes, and cannot be {what}.",
            "nc-sigopt compare CONFIG --resume DIR keeps what was tuned and built, and times all "
            "models anew.",
        )


def _refuse_differences(one: _Earlier, other: _Earlier) -> None:
    for name in _SAME:
        first, second = (getattr(side.comparison, name) for side in (one, other))
        # What an older version did not record says nothing.
        if None not in (first, second) and first != second:
            raise DataError(
                f"{one.folder} and {other.folder} cannot be joined: {name} is {first!r} in one "
                f"and {second!r} in the other.",
                "Join comparisons of one model under one bound on the same images.",
            )


def _joined(earlier: Sequence[_Earlier], folder: Path, name: str) -> Comparison:
    """All runs in one comparison; what is common to all comes from the first."""
    first = earlier[0].comparison
    results: list[StrategyResult] = []
    notes: list[str] = []
    for number, part in enumerate(earlier, start=1):
        differences = host_differences(first.host, part.comparison.host)
        if differences:
            notes.append(f"{part.comparison.name} ran elsewhere: {'; '.join(differences)}.")
        for result in map(part.comparison.with_own_latencies, part.comparison.strategies):
            if any(result.label == other.label for other in results):
                label = f"{result.label}.{number}"
                result = dataclasses.replace(result, label=label)
            if differences:
                result = dataclasses.replace(result, host=part.comparison.host)
            results.append(_relocated(result, part.folder, folder))
    best = best_strategy(results, None, first.higher_is_better)
    return dataclasses.replace(
        first,
        name=name,
        started=datetime.now().isoformat(timespec="seconds"),
        strategies=tuple(results),
        verdicts=(
            *verdicts(results, None, first.higher_is_better),
            *notes,
            *_without_side_by_side(earlier),
        ),
        best_label=best.label if best else None,
        interrupted=any(part.comparison.interrupted for part in earlier),
        total_seconds=sum(part.comparison.total_seconds for part in earlier),
        joined_from=tuple(str(part.folder) for part in earlier),
    )


def _without_side_by_side(earlier: Sequence[_Earlier]) -> Iterator[str]:
    if len(earlier) > 1:
        yield (
            "Latencies are those of each comparison's own timing, beside its own FP32; "
            "--retime times all models found in turn."
        )


def _relocated(result: StrategyResult, old: Path, new: Path) -> StrategyResult:
    """The same result with its files' paths relative to another run folder."""

    def moved(trial: TrialRecord | None) -> TrialRecord | None:
        if trial is None or trial.model_path is None:
            return trial
        return dataclasses.replace(trial, model_path=os.path.relpath(old / trial.model_path, new))

    outcome = result.outcome
    if outcome is not None:
        outcome = dataclasses.replace(
            outcome, best=moved(outcome.best), nearest_miss=moved(outcome.nearest_miss)
        )
    trials = tuple(moved(trial) or trial for trial in result.trials)
    return dataclasses.replace(result, outcome=outcome, trials=trials)


def _retimed(comparison: Comparison, config: RunConfig, folder: Path, tell: Tell) -> Comparison:
    """The same comparison with its models timed side by side here and now."""
    model = find_model(config.model, tell=tell)
    pipeline = build_pipeline(config, model)
    files = {
        result.label: folder / path
        for result in comparison.strategies
        if (path := _returned_path(result)) is not None
    }
    timed = time_side_by_side(
        config,
        [comparison.with_own_latencies(result) for result in comparison.strategies],
        files,
        {},
        session_opener(model, config.model.session),
        model.path,
        pipeline.batch,
        tell,
    )
    higher = comparison.higher_is_better
    best = best_strategy(timed.results, timed.samples, higher)
    fp32 = timed_model(FP32, timed.samples)
    return dataclasses.replace(
        comparison,
        strategies=tuple(
            _rescaled(result, before, comparison.fp32, fp32)
            for result, before in zip(timed.results, comparison.strategies, strict=True)
        ),
        fp32=fp32,
        # Its graph is gone with those of the other trials.
        default_int8=None,
        default_int8_trial=None,
        verdicts=tuple(verdicts(timed.results, timed.samples, higher)),
        best_label=best.label if best else None,
        host=host_facts(),
    )


def _rescaled(
    result: StrategyResult,
    before: StrategyResult,
    fp32_before: TimedModel | None,
    fp32: TimedModel,
) -> StrategyResult:
    """The trials on the scale of the new timing: times what became of the returned model's."""
    old, new = (before.timed, result.timed) if before.timed else (fp32_before, fp32)
    if old is None or new is None:
        return dataclasses.replace(result, host=None)
    factor = new.latency_seconds.value / old.latency_seconds.value
    trials = tuple(
        trial
        if trial.latency_seconds is None
        else dataclasses.replace(trial, latency_seconds=factor * trial.latency_seconds)
        for trial in result.trials
    )
    return dataclasses.replace(result, trials=trials, host=None)


def _returned_path(result: StrategyResult) -> str | None:
    shown = result.outcome and (result.outcome.best or result.outcome.nearest_miss)
    return shown.model_path if shown else None
