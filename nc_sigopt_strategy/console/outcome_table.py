"""What one tuning run ended with, as a table, and the console that tables are drawn on."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nc_sigopt_strategy.console.cells import accuracy_text, seconds_text
from nc_sigopt_strategy.results.finalist import Finalist
from nc_sigopt_strategy.results.outcome import Outcome

# Where nobody's window bounds it (a file, a CI log), tables get the width they look best in.
_WIDTH_OUTSIDE_TERMINALS = 100


def table_console() -> Console:
    """A console on standard output for tables; names and errors are text to it, not markup."""
    width = None if Console().is_terminal else _WIDTH_OUTSIDE_TERMINALS
    return Console(width=width, markup=False, highlight=False, emoji=False)


def print_outcome(outcome: Outcome, console: Console) -> None:
    """The verdict, and below it what it rests on."""
    if outcome.verdict:
        console.print(Text(outcome.verdict, style="bold"))
    console.print(outcome_table(outcome))


def outcome_table(outcome: Outcome) -> Table:
    """What one tuning run ended with, as a two-column table; without the verdict."""
    what = " on ".join(filter(None, (outcome.model, outcome.runtime)))
    title = ", ".join(filter(None, (what, f"strategy {outcome.strategy}")))
    table = Table(title=Text(title), title_justify="left", show_header=False)
    table.add_column()
    table.add_column()
    for name, value in _outcome_rows(outcome):
        table.add_row(name, Text(value))
    return table


def outcome_text(outcome: Outcome) -> str:
    """What ``print_outcome`` prints, as plain text."""
    console = Console(
        file=io.StringIO(),
        width=_WIDTH_OUTSIDE_TERMINALS,
        markup=False,
        highlight=False,
        emoji=False,
    )
    with console.capture() as captured:
        print_outcome(outcome, console)
    return captured.get().rstrip()


def _outcome_rows(outcome: Outcome) -> list[tuple[str, str]]:
    shown = outcome.best or outcome.nearest_miss
    met = f"yes, trial {shown.number}" if outcome.best and shown else "no"
    if outcome.best and outcome.faster_than_fp32 is False:
        met += ", but it is not faster than FP32"
    name = "int8 accuracy" if outcome.best else "nearest accuracy"
    rows = [
        ("met the bound?", met),
        ("FP32 baseline", accuracy_text(outcome.baseline_accuracy)),
        ("accuracy bound", accuracy_text(outcome.accuracy_target)),
        (name, accuracy_text(shown.accuracy if shown else None)),
        ("int8 duration (s)", seconds_text(shown.duration_seconds if shown else None, 2)),
    ]
    latency = shown.latency_seconds if shown else None
    if latency is not None:
        rows.append(("latency (ms)", f"{latency * 1e3:.3g}"))
        if outcome.speedup is not None:
            low, high = outcome.speedup.low, outcome.speedup.high
            text = f"{outcome.speedup.value:.2f} ({low:.2f} to {high:.2f}), side by side"
            rows.append(("speed-up over FP32", text))
        elif outcome.fp32_latency_seconds:
            text = f"{outcome.fp32_latency_seconds / latency:.2f}, from the trials"
            rows.append(("speed-up over FP32", text))
    rows += _rows_of_other_data(None if outcome.returns_fp32 else outcome.best_finalist)
    rows += [
        (
            f"batch of {one.batch_size}",
            f"{one.seconds * 1e3:.3g} ms, {one.speedup.value:.2f} ({one.speedup.low:.2f} to "
            f"{one.speedup.high:.2f}) times FP32's speed",
        )
        for one in outcome.by_batch
    ]
    rows.append(("trials", str(outcome.trials)))
    if outcome.trials_by_worker:
        shares = (f"{worker} {count}" for worker, count in outcome.trials_by_worker.items())
        rows.append(("trials by worker", ", ".join(shares)))
    rows.append(("tuning (s)", seconds_text(outcome.tuning_seconds)))
    rows.append(("ended because", outcome.stop_reason))
    if outcome.calibration is not None:
        rows.append(("calibration", calibration_text(outcome.calibration)))
    if outcome.costliest_ops:
        costs = ", ".join(f"{c.op} ({c.accuracy_cost:+.4f})" for c in outcome.costliest_ops)
        rows.append(("costliest ops in int8", costs))
    return rows


def _rows_of_other_data(finalist: Finalist | None) -> list[tuple[str, str]]:
    if finalist is None:
        return []
    rows = []
    if finalist.bound_probability is not None:
        text = f"a probability of {finalist.bound_probability:.2f}, on other data of the kind"
        rows.append(("keeps the bound with", text))
    if finalist.confirmed_accuracy is not None:
        rows.append(("accuracy by confirm_func", accuracy_text(finalist.confirmed_accuracy)))
    return rows


def calibration_text(usage: Mapping[str, Any]) -> str:
    """How often calibration was answered from statistics, and how often not and why."""
    passes = f"{usage['passes']} pass{'' if usage['passes'] == 1 else 'es'} over the data"
    text = f"statistics gathered in {passes}, {usage['seconds']:.1f} s, used {usage['fed']} times"
    left = [f"{count} times by INC itself: {why}" for why, count in usage["stock"].items()]
    return "; ".join([text, *left])
