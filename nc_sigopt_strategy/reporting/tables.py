"""The results table, once as text cells and once drawn for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from ..outcome import Outcome
from .comparison import Comparison, Interval, StrategyResult, TimedModel

NOTHING = "–"
# Where nobody's window bounds it (a file, a CI log), tables get the width they look best in.
_WIDTH_OUTSIDE_TERMINALS = 100

COLUMN_MEANINGS: dict[str, str] = {
    "strategy": "Neural Compressor's tuning strategy; fp32 and default int8 are for reference.",
    "FP32 baseline": "Accuracy of the model before quantization.",
    "int8 accuracy": "Accuracy of the model that the strategy returned; without one, the nearest.",
    "met the bound?": "Whether that accuracy meets the bound. Equality counts.",
    "int8 duration (s)": "Neural Compressor's own figure: wall time of the whole accuracy "
    "evaluation, measured once. It holds much that is not inference.",
    "latency (ms)": "One inference on one batch, all models timed in turn; in brackets the 95 % "
    "interval of the paired ratio to FP32, times FP32's median.",
    "speed-up": "FP32's latency over this model's, paired, with its 95 % interval.",
    "trials": "Models that were quantized and evaluated.",
    "tuning (s)": "Wall time of the tuning, from the FP32 evaluation to the model's return.",
}


@dataclass(frozen=True)
class Row:
    """Cells in the order of ``COLUMN_MEANINGS``; ``good`` is ``None`` for reference rows."""

    cells: tuple[str, ...]
    good: bool | None = None


def comparison_rows(comparison: Comparison) -> list[Row]:
    """The rows of the results table: references first, then the strategies."""
    rows = []
    baseline = _accuracy(comparison.baseline_accuracy)
    if comparison.fp32 is not None:
        timing = _timing(comparison.fp32)
        rows.append(Row(("fp32", baseline, NOTHING, NOTHING, NOTHING, *timing, NOTHING, NOTHING)))
    if comparison.default_int8 is not None:
        trial = comparison.default_int8_trial
        met = NOTHING if trial is None or trial.meets_bound is None else _yes(trial.meets_bound)
        cells = (
            "default int8",
            baseline,
            _accuracy(trial.accuracy if trial else None),
            met,
            _seconds(trial.duration_seconds if trial else None, 2),
            *_timing(comparison.default_int8),
            NOTHING,
            NOTHING,
        )
        rows.append(Row(cells))
    rows.extend(_strategy_row(strategy, baseline) for strategy in comparison.strategies)
    return rows


def table_console() -> Console:
    """A console on standard output for tables; names and errors are text to it, not markup."""
    width = None if Console().is_terminal else _WIDTH_OUTSIDE_TERMINALS
    return Console(width=width, markup=False, highlight=False, emoji=False)


def comparison_table(comparison: Comparison) -> Table:
    """The results table for the terminal."""
    table = Table(
        title=Text(f"{comparison.model}: {comparison.bound}"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=0,
    )
    for name in COLUMN_MEANINGS:
        justify: JustifyMethod = "left" if name == "strategy" else "right"
        table.add_column(name.replace(" ", "\n"), justify=justify, overflow="fold")
    styles = {True: "bold green", False: "yellow", None: "dim"}
    for row in comparison_rows(comparison):
        table.add_row(*(Text(_narrow(cell)) for cell in row.cells), style=styles[row.good])
    return table


def _narrow(cell: str) -> str:
    """Break a cell where it reads best, so that the nine columns fit into a terminal of 80."""
    for before, after in ((" [", "\n"), ("nearest ", "nearest\n"), ("none in ", "none in\n")):
        cell = cell.replace(before, after)
    return cell.replace("default int8", "default\nint8").rstrip("]")


def outcome_table(outcome: Outcome) -> Table:
    """What one tuning run ended with, as a two-column table."""
    table = Table(
        title=Text(f"strategy {outcome.strategy}"), title_justify="left", show_header=False
    )
    table.add_column()
    table.add_column()
    for name, value in _outcome_rows(outcome):
        table.add_row(name, Text(value))
    return table


def _outcome_rows(outcome: Outcome) -> list[tuple[str, str]]:
    shown = outcome.best or outcome.nearest_miss
    met = f"yes, trial {shown.number}" if outcome.best and shown else "no"
    name = "int8 accuracy" if outcome.best else "nearest accuracy"
    rows = [
        ("met the bound?", met),
        ("FP32 baseline", _accuracy(outcome.baseline_accuracy)),
        ("accuracy bound", _accuracy(outcome.accuracy_target)),
        (name, _accuracy(shown.accuracy if shown else None)),
        ("int8 duration (s)", _seconds(shown.duration_seconds if shown else None, 2)),
    ]
    latency = shown.latency_seconds if shown else None
    if latency is not None:
        rows.append(("latency (ms)", f"{latency * 1e3:.3g}"))
        if outcome.fp32_latency_seconds:
            rows.append(("speed-up over FP32", f"{outcome.fp32_latency_seconds / latency:.2f}"))
    rows.append(("trials", str(outcome.trials)))
    rows.append(("tuning (s)", _seconds(outcome.tuning_seconds, 0)))
    rows.append(("ended because", outcome.stop_reason))
    if outcome.calibration is not None:
        rows.append(("calibration", calibration_text(outcome.calibration)))
    if outcome.costliest_ops:
        costs = ", ".join(f"{c.op} ({c.accuracy_cost:+.4f})" for c in outcome.costliest_ops)
        rows.append(("costliest ops in int8", costs))
    return rows


def calibration_text(usage: Mapping[str, Any]) -> str:
    """How often calibration was answered from statistics, and how often not and why."""
    passes = f"{usage['passes']} pass{'' if usage['passes'] == 1 else 'es'} over the data"
    text = f"statistics gathered in {passes}, {usage['seconds']:.1f} s, used {usage['fed']} times"
    left = [f"{count} times by INC itself: {why}" for why, count in usage["stock"].items()]
    return "; ".join([text, *left])


def _strategy_row(strategy: StrategyResult, baseline: str) -> Row:
    outcome = strategy.outcome
    trials = str(len(strategy.trials) or (outcome.trials if outcome else 0))
    if outcome is None or (strategy.failure and not outcome.found):
        seconds = _seconds(outcome.tuning_seconds if outcome else None, 0)
        unknown = (NOTHING,) * 3
        what = "not run" if strategy.wrong_use else "crashed"
        cells = (strategy.label, baseline, NOTHING, what, *unknown, trials, seconds)
        return Row(cells, False)
    if outcome.best is None:
        nearest = outcome.nearest_miss.accuracy if outcome.nearest_miss else None
        cells = (
            strategy.label,
            baseline,
            f"nearest {_accuracy(nearest)}" if nearest is not None else NOTHING,
            f"none in {outcome.tuning_seconds:.0f} s",
            NOTHING,
            NOTHING,
            NOTHING,
            trials,
            _seconds(outcome.tuning_seconds, 0),
        )
        return Row(cells, False)
    cells = (
        strategy.label,
        baseline,
        _accuracy(outcome.best.accuracy),
        "yes",
        _seconds(outcome.best.duration_seconds, 2),
        *(_timing(strategy.timed) if strategy.timed else (NOTHING, NOTHING)),
        trials,
        _seconds(outcome.tuning_seconds, 0),
    )
    return Row(cells, True)


def _timing(timed: TimedModel) -> tuple[str, str]:
    latency = timed.latency_seconds
    milliseconds = Interval(latency.value * 1e3, latency.low * 1e3, latency.high * 1e3)
    return _interval(milliseconds), _interval(timed.speedup)


def _interval(interval: Interval) -> str:
    text = f"{_short(interval.value)}"
    if interval.low == interval.high:  # FP32 over itself
        return text
    return f"{text} [{_short(interval.low)}–{_short(interval.high)}]"


def _short(value: float) -> str:
    return f"{value:.1f}" if value >= 20 else f"{value:.2f}"


def _accuracy(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"


def _seconds(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
