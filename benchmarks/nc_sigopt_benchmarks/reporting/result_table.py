"""The table of what each strategy came to: the published columns, and what a user needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.judging.timed_models import TimedModel
from nc_sigopt_benchmarks.machine.facts import host_differences
from nc_sigopt_benchmarks.reporting.cells import interval_text, milliseconds_text, yes_or_no
from nc_sigopt_benchmarks.reporting.table_data import ReportTable, Row
from nc_sigopt_strategy.console.cells import NOTHING, accuracy_text, seconds_text

COLUMN_MEANINGS: dict[str, str] = {
    "strategy": "Neural Compressor's tuning strategy; fp32 and default int8 are for reference.",
    "FP32 baseline": "Accuracy of the model before quantization.",
    "int8 accuracy": "Accuracy of the model that the strategy returned; without one, the nearest. "
    "In brackets the 95 % interval that the number of evaluation images leaves.",
    "met the bound?": "Whether that accuracy meets the bound. Equality counts. Not faster: than "
    "FP32, beyond the noise of the timing.",
    "int8 duration (s)": "Neural Compressor's own figure: wall time of the whole accuracy "
    "evaluation, measured once. It holds much that is not inference.",
    "latency (ms)": "One inference on one batch, all models timed in turn; in brackets the 95 % "
    "interval of the paired ratio to FP32, times FP32's median.",
    "speed-up": "FP32's latency over this model's, paired, with its 95 % interval.",
    "over basic": "Latency of basic's model over this one's, paired, with its 95 % interval; tied "
    "where the interval of the difference includes zero.",
}
_MARKS = "*†‡§¶"


def result_table(comparison: Comparison) -> ReportTable:
    """References first, then the strategies; remarks and notes say what has no column."""
    marks = HostMarks(comparison)
    rows = [
        *_reference_rows(comparison),
        *(_row(s, comparison, marks) for s in comparison.strategies),
    ]
    sentence = comparison.noise.get("sentence")
    return ReportTable(
        title=f"{comparison.model}: {comparison.bound}",
        columns=COLUMN_MEANINGS,
        rows=tuple(rows),
        notes=(*marks.footnotes, *([str(sentence)] if sentence else [])),
    )


class HostMarks:
    """A mark for each other machine that strategies ran on, and what the marks mean.

    Attributes:
        footnotes: A sentence for each mark.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.footnotes: list[str] = []
        self._marks: dict[str, str] = {}
        for strategy in comparison.strategies:
            if strategy.host is None:
                continue
            differences = _differences(comparison.host, strategy.host)
            if differences in self._marks:
                continue
            number = len(self._marks)
            mark = _MARKS[number % len(_MARKS)] * (1 + number // len(_MARKS))
            self._marks[differences] = mark
            self.footnotes.append(
                f"{mark} ran elsewhere than the rest ({differences}): its latencies and times are "
                "not comparable with theirs."
            )
        self._host = comparison.host

    def label(self, strategy: StrategyResult) -> str:
        """The strategy's label, with its mark if it ran elsewhere."""
        if strategy.host is None:
            return strategy.label
        return f"{strategy.label} {self._marks[_differences(self._host, strategy.host)]}"


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    return "; ".join(host_differences(one, other)) or "another machine of the same kind"


def skipped_text(strategy: StrategyResult) -> str | None:
    """Why a row has no figures: the run was skipped, or crashed."""
    if strategy.skipped is not None:
        return f"skipped: {strategy.skipped}"
    if strategy.failure is None:
        return None
    what = "cannot be used" if strategy.wrong_use else "crashed"
    kept = "; what it had found is kept" if strategy.found else ""
    return f"{what}: {strategy.failure}{kept}"


def _reference_rows(comparison: Comparison) -> list[Row]:
    rows = []
    baseline = accuracy_text(comparison.baseline_accuracy)
    if comparison.fp32 is not None:
        timing = _timing(comparison.fp32)
        rows.append(Row(("fp32", baseline, NOTHING, NOTHING, NOTHING, *timing, NOTHING)))
    if comparison.default_int8 is not None:
        trial = comparison.default_int8_trial
        cells = (
            "default int8",
            baseline,
            accuracy_text(trial.accuracy if trial else None),
            yes_or_no(trial.meets_bound if trial else None),
            seconds_text(trial.duration_seconds if trial else None, 2),
            *_timing(comparison.default_int8),
            NOTHING,
        )
        rows.append(Row(cells))
    return rows


def _row(strategy: StrategyResult, comparison: Comparison, marks: HostMarks) -> Row:
    trial = strategy.shown
    timed = strategy.timed
    accuracy = accuracy_text(trial.accuracy if trial else None, strategy.accuracy_interval)
    if trial is not None and not strategy.found and timed is None and accuracy != NOTHING:
        accuracy = f"nearest {accuracy}"
    has_model = trial is not None and (strategy.found or timed is not None)
    cells = (
        marks.label(strategy),
        accuracy_text(comparison.baseline_accuracy),
        accuracy,
        _met(strategy),
        seconds_text(trial.duration_seconds if trial and has_model else None, 2),
        *(_timing(timed) if timed else (NOTHING, NOTHING)),
        _over_basic(strategy),
    )
    return Row(cells, strategy.found_faster, skipped_text(strategy))


def _met(strategy: StrategyResult) -> str:
    outcome = strategy.outcome
    if strategy.skipped is not None:
        return "skipped"
    if outcome is not None and outcome.best is not None:
        met = yes_or_no(outcome.best.meets_bound)
        return met if strategy.found_faster or not strategy.found else f"{met}, not faster"
    if outcome is None or strategy.failure:
        return "not run" if strategy.wrong_use else "crashed"
    if strategy.timed is not None:
        return "no"
    return f"none in {outcome.tuning_seconds:.0f} s"


def _over_basic(strategy: StrategyResult) -> str:
    if strategy.over_basic is None:
        return NOTHING
    text = interval_text(strategy.over_basic.speedup)
    return f"tied {text}" if strategy.over_basic.tied else text


def _timing(timed: TimedModel) -> tuple[str, str]:
    return milliseconds_text(timed.latency_seconds), interval_text(timed.speedup)
