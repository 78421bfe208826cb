"""Tables that only some comparisons have: held-out images, stored metrics, Pareto fronts."""

from __future__ import annotations

from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.judging.timed_models import HeldOut
from nc_sigopt_benchmarks.reporting.cells import short, yes_or_no
from nc_sigopt_benchmarks.reporting.result_table import HostMarks
from nc_sigopt_benchmarks.reporting.summary import front, metric_names, stored_metrics
from nc_sigopt_benchmarks.reporting.table_data import ReportTable, Row
from nc_sigopt_strategy.console.cells import NOTHING, accuracy_text
from nc_sigopt_strategy.results.interval import Interval

HELD_OUT_COLUMNS: dict[str, str] = {
    "strategy": "The run whose model was judged.",
    "images": "How many images that no trial saw judged it.",
    "FP32 accuracy": "Of the model before quantization, on the same images.",
    "int8 accuracy": "Of the model returned.",
    "drop": "FP32's accuracy less the model's, with its paired bootstrap interval (95 %).",
    "allowed": "The drop that the accuracy criterion allows on these images.",
    "consistent?": "Whether a drop within the bound lies in the interval or above it.",
}
_FRONT_COLUMNS: dict[str, str] = {
    "strategy": "The run.",
    "trial": "A trial that no other of the run beats in both accuracy and latency.",
    "accuracy": "Of its model.",
    "latency (ms)": "One inference on one batch.",
    "speed-up": "FP32's latency over it.",
}
# More of them do not fit beside each other into a terminal of 80 columns.
_METRICS_PER_TABLE = 5


def held_out_table(comparison: Comparison) -> ReportTable:
    """Each model that was judged on images that no trial saw."""
    marks = HostMarks(comparison)
    rows = [
        Row((marks.label(strategy), *_held_out(strategy.held_out)), strategy.held_out.consistent)
        for strategy in comparison.strategies
        if strategy.held_out is not None
    ]
    return ReportTable("On held-out images", HELD_OUT_COLUMNS, tuple(rows))


def metric_tables(comparison: Comparison) -> list[ReportTable]:
    """The user's stored metrics of the model that each run returned, a few per table."""
    names = metric_names(comparison)
    return [
        _metric_table(comparison, names[start : start + _METRICS_PER_TABLE])
        for start in range(0, len(names), _METRICS_PER_TABLE)
    ]


def front_table(comparison: Comparison) -> ReportTable:
    """The Pareto fronts of the runs that searched for one, by rising latency."""
    rows = []
    for strategy in comparison.strategies:
        timed = [(comparison.trial_latency(strategy, t), t) for t in front(strategy)]
        for latency, trial in sorted(timed, key=lambda pair: pair[0] or float("inf")):
            reference = comparison.fp32.latency_seconds.value if comparison.fp32 else None
            cells = (
                strategy.label,
                str(trial.number),
                accuracy_text(trial.accuracy),
                short(latency * 1e3) if latency else NOTHING,
                short(reference / latency) if reference and latency else NOTHING,
            )
            rows.append(Row(cells))
    return ReportTable("Pareto front", _FRONT_COLUMNS, tuple(rows)).without_empty_columns()


def _held_out(held: HeldOut) -> tuple[str, ...]:
    return (
        str(held.images),
        accuracy_text(held.baseline_accuracy),
        accuracy_text(held.accuracy),
        _drop(held.drop),
        f"{held.allowed_drop:.4f}",
        yes_or_no(held.consistent),
    )


def _drop(drop: Interval) -> str:
    # "to" and not a dash: either end may be negative.
    return f"{drop.value:.4f} [{drop.low:.4f} to {drop.high:.4f}]"


def _metric_table(comparison: Comparison, names: list[str]) -> ReportTable:
    columns = {
        "strategy": "The run.",
        # A metric may be called like the first column.
        **{_column(name): "As your own function returned it." for name in names},
    }
    rows = []
    for strategy in comparison.strategies:
        metrics = stored_metrics(strategy.shown)
        if any(name in metrics for name in names):
            values = (f"{metrics[name]:.4g}" if name in metrics else NOTHING for name in names)
            rows.append(Row((strategy.label, *values), strategy.found))
    return ReportTable("Stored metrics of the model returned", columns, tuple(rows))


def _column(metric: str) -> str:
    return "strategy (metric)" if metric == "strategy" else metric
