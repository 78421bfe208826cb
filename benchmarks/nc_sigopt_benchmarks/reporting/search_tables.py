"""Tables of the search: when each run met the bound, its repeats, and what a trial takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.reporting.cells import mebibytes_text, short
from nc_sigopt_benchmarks.reporting.result_table import HostMarks
from nc_sigopt_benchmarks.reporting.summary import (
    Reached,
    Spread,
    best_reached,
    first_met,
    in_phase_order,
    phase_medians,
    repeats,
    seconds_without_model,
    spread,
)
from nc_sigopt_benchmarks.reporting.table_data import ReportTable, Row
from nc_sigopt_strategy.console.cells import NOTHING, seconds_text

SEARCH_COLUMNS: dict[str, str] = {
    "strategy": "The run.",
    "trials": "Models that were quantized and evaluated.",
    "tuning (s)": "Wall time of the tuning, from the FP32 evaluation to the model's return.",
    "first met (trial)": "The first trial whose model met the bound.",
    "first met (s)": "Seconds from the start of the run to the end of that trial; > T: none in T.",
    "best (trial)": "The first trial whose model is the one returned.",
    "best (s)": "Seconds from the start of the run to the end of that trial; likewise.",
}
REPEAT_COLUMNS: dict[str, str] = {
    "strategy": "All runs of one strategy; medians, in brackets the range over them.",
    "runs": "How many there were.",
    "found": "How many of them found a model that meets the bound.",
    "first met (s)": "Seconds to the first model that met the bound; a run that found nothing "
    "counts as longer than any.",
    "int8 accuracy": "Of the models returned; a run that found nothing counts as worse than any.",
    "latency (ms)": "Of the models returned; likewise.",
    "speed-up": "Over FP32; likewise.",
}
_NONE = "none"


def search_table(comparison: Comparison) -> ReportTable:
    """How each run's search went; skipped runs have no row."""
    marks = HostMarks(comparison)
    rows = []
    for strategy in comparison.strategies:
        outcome = strategy.outcome
        if (
            strategy.is_rival
            or strategy.skipped is not None
            or (outcome is None and not strategy.trials)
        ):
            continue
        trials = len(strategy.trials) or (outcome.trials if outcome else 0)
        cells = (
            marks.label(strategy),
            str(trials),
            seconds_text(outcome.tuning_seconds if outcome else None),
            *_first_met(strategy, trials),
            *_best(strategy, trials),
        )
        rows.append(Row(cells, strategy.found))
    return ReportTable("Search", SEARCH_COLUMNS, tuple(rows), tuple(marks.footnotes))


def repeats_table(comparison: Comparison) -> ReportTable:
    """Median and range over each strategy's runs; no rows where each ran once."""
    higher = comparison.higher_is_better
    rows = []
    for name, runs in repeats(comparison).items():
        found = sum(run.found for run in runs)
        cells = (
            name,
            str(len(runs)),
            str(found),
            _spread_of_times(runs),
            _spread(runs, _accuracy, lambda value: f"{value:.4f}", higher_is_better=higher),
            _spread(runs, _milliseconds, short),
            _spread(runs, _speedup, short, higher_is_better=True),
        )
        rows.append(Row(cells, found == len(runs)))
    return ReportTable("Over the repeats", REPEAT_COLUMNS, tuple(rows))


def resource_table(comparison: Comparison) -> ReportTable:
    """Where a trial's seconds go, and what a run takes in memory and on disk."""
    marks = HostMarks(comparison)
    ran = [(strategy, phase_medians(strategy.trials)) for strategy in comparison.strategies]
    names = in_phase_order(name for _, phases in ran for name in phases)
    columns = {
        "strategy": "The run.",
        **{name: f"Median seconds per trial: {_PHASES.get(name, name)}." for name in names},
        "whole trial": "Median seconds from the start of a trial to its end.",
        "peak memory (MiB)": "Largest resident memory of the run's process.",
        "model (MiB)": "Size of the file of the model returned.",
    }
    rows = []
    if comparison.model_bytes is not None:
        empty = (NOTHING,) * (len(names) + 2)
        rows.append(Row(("fp32", *empty, mebibytes_text(comparison.model_bytes))))
    for strategy, phases in ran:
        cells = (
            *(_seconds(phases.get(name)) for name in names),
            _seconds(_whole_trial(strategy)),
            mebibytes_text(strategy.peak_memory_bytes),
            mebibytes_text(strategy.model_bytes),
        )
        if any(cell != NOTHING for cell in cells):
            rows.append(Row((marks.label(strategy), *cells), strategy.found))
    table = ReportTable(
        "Seconds per trial (median), memory and size", columns, tuple(rows), tuple(marks.footnotes)
    )
    return table.without_empty_columns()


_PHASES = {
    "suggest": "the sampler's choice",
    "quantize": "making the model",
    "evaluate": "its accuracy",
    "stored_metrics": "your own function for further metrics",
    "latency": "its latency and output noise",
    "observe": "recording the result",
}


def _first_met(strategy: StrategyResult, trials: int) -> tuple[str, str]:
    """Trial and seconds."""
    first = first_met(strategy)
    if first is not None:
        return _reached(first)
    known = strategy.outcome.seconds_to_first_feasible if strategy.outcome else None
    return (NOTHING, f"{known:.0f}") if known is not None else _in_vain(strategy, trials)


def _best(strategy: StrategyResult, trials: int) -> tuple[str, str]:
    """Trial and seconds."""
    best = best_reached(strategy)
    return _reached(best) if best is not None else _in_vain(strategy, trials)


def _in_vain(strategy: StrategyResult, trials: int) -> tuple[str, str]:
    without = seconds_without_model(strategy)
    return (NOTHING, NOTHING) if without is None else (f"> {trials}", f"> {without:.0f}")


def _reached(reached: Reached) -> tuple[str, str]:
    return str(reached.trial), f"{reached.seconds:.0f}"


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _whole_trial(strategy: StrategyResult) -> float | None:
    return spread(
        trial.ended_seconds - trial.started_seconds
        for trial in strategy.trials
        if trial.ended_seconds > trial.started_seconds
    ).median


def _spread_of_times(runs: Sequence[StrategyResult]) -> str:
    firsts = [_first_seconds(run) for run in runs]
    # The shortest search in vain: no run that found nothing is known to need less.
    vain = [
        run.outcome.tuning_seconds for run in runs if run.outcome and _first_seconds(run) is None
    ]
    beyond = f"> {min(vain):.0f}" if vain else NOTHING
    return _spread_text(spread(firsts), lambda value: f"{value:.0f}", beyond)


def _first_seconds(run: StrategyResult) -> float | None:
    first = first_met(run)
    if first is not None:
        return first.seconds
    return run.outcome.seconds_to_first_feasible if run.outcome else None


def _spread(
    runs: Sequence[StrategyResult],
    figure: Callable[[StrategyResult], float | None],
    text: Callable[[float], str],
    *,
    higher_is_better: bool = False,
) -> str:
    figures = [figure(run) for run in runs]
    if not any(value is not None for value in figures):
        return NOTHING
    return _spread_text(
        spread(figures, higher_is_better=higher_is_better), text, _NONE, reverse=higher_is_better
    )


def _spread_text(
    values: Spread, text: Callable[[float], str], without: str, *, reverse: bool = False
) -> str:
    median, best, worst = (
        without if value is None else text(value)
        for value in (values.median, values.best, values.worst)
    )
    if best == worst:
        return median
    low, high = (worst, best) if reverse else (best, worst)
    return f"{median} [{low}–{high.replace('> ', '>')}]"


def _accuracy(run: StrategyResult) -> float | None:
    trial = run.shown
    return trial.accuracy if trial is not None and run.found else None


def _milliseconds(run: StrategyResult) -> float | None:
    return run.timed.latency_seconds.value * 1e3 if run.timed and run.found else None


def _speedup(run: StrategyResult) -> float | None:
    return run.timed.speedup.value if run.timed and run.found else None
