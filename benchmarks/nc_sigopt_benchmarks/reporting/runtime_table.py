"""The table of a comparison across runtimes: a row per model and way to run it."""

from __future__ import annotations

from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.judging.runtime_rows import BatchTiming, RuntimeRow, batch_sizes
from nc_sigopt_benchmarks.judging.timed_models import HeldOut
from nc_sigopt_benchmarks.reporting.cells import interval_text, yes_or_no
from nc_sigopt_benchmarks.reporting.table_data import ReportTable, Row
from nc_sigopt_strategy.console.cells import NOTHING, accuracy_text, seconds_text

_MODEL_COLUMNS: dict[str, str] = {
    "model": "The run that it came from; ours are found by sigopt, the others are what each "
    "runtime offers by itself.",
    "runtime": "Where it runs, and what its float ops run in where the runtime tells.",
    "accuracy": "On the images that evaluate, by the same function for all rows.",
    "met?": "Whether it meets the bound, which is one for all rows. Equality counts.",
    "held out": "Accuracy on images that no run saw; ! where its loss there is beyond the bound "
    "with its whole 95 % interval.",
    "seconds": "Wall time of its run: tuning, or making the model; 0 where nothing is made.",
}


def runtime_table(comparison: Comparison) -> ReportTable:
    """Accuracy, bound and speed of every row; remarks say what has no column."""
    rows = comparison.runtimes
    sizes = batch_sizes(rows)
    return ReportTable(
        title=f"{comparison.model}: {comparison.bound}",
        columns={**_MODEL_COLUMNS, **_speed_columns(comparison, sizes)},
        rows=tuple(
            Row(
                (*_model_cells(row), *_speed_cells(row, sizes)),
                None if row.fp32 else row.meets_bound,
                _remark(row),
            )
            for row in rows
        ),
        notes=tuple(f"{row.label}: {row.what}." for row in rows if row.what),
    )


def _speed_columns(comparison: Comparison, sizes: list[int]) -> dict[str, str]:
    reference = _reference(comparison.runtimes)
    wall = {
        f"speed b{size}": f"Wall time of {reference} over this model's for {size} inputs, paired "
        "in the same rounds, with its 95 % interval."
        for size in sizes
    }
    cpu = {
        f"CPU b{size}": f"The same of CPU seconds of the model's process, {size} inputs."
        for size in sizes
    }
    return {**wall, **cpu}


def _reference(rows: tuple[RuntimeRow, ...]) -> str:
    """The row whose speed is 1 without an interval."""
    for row in rows:
        speeds = [timing.wall.speedup for timing in row.timings]
        if speeds and all(speed.low == speed.high == 1.0 for speed in speeds):
            return row.label
    return "the reference"


def _model_cells(row: RuntimeRow) -> tuple[str, ...]:
    return (
        row.label,
        f"{row.title} {row.precision}".strip(),
        accuracy_text(row.accuracy, row.accuracy_interval),
        yes_or_no(row.meets_bound),
        _held_out(row.held_out),
        seconds_text(row.seconds, 0),
    )


def _speed_cells(row: RuntimeRow, sizes: list[int]) -> tuple[str, ...]:
    timings = [row.timing(size) for size in sizes]
    return (*(_speed(t, cpu=False) for t in timings), *(_speed(t, cpu=True) for t in timings))


def _speed(timing: BatchTiming | None, *, cpu: bool) -> str:
    if timing is None:
        return NOTHING
    return interval_text((timing.cpu if cpu else timing.wall).speedup)


def _held_out(held: HeldOut | None) -> str:
    if held is None:
        return NOTHING
    return accuracy_text(held.accuracy) + ("" if held.consistent else " !")


def _remark(row: RuntimeRow) -> str | None:
    return "; ".join(remark.rstrip(".") for remark in row.remarks) or None
