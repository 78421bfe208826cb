"""Neural Compressor's published comparison of basic and sigopt, beside ours.

The figures are those of Neural Compressor's own documentation of its SigOpt strategy, which says
nothing of the machine; each is of a single run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.reporting.table_data import ReportTable, Row
from nc_sigopt_strategy.console.cells import NOTHING, accuracy_text, seconds_text


@dataclass(frozen=True)
class PublishedRun:
    """One line of the published table.

    Attributes:
        int8_accuracy: Of the model that the strategy returned.
        duration_seconds: Wall time of one evaluation of that model.
    """

    int8_accuracy: float
    duration_seconds: float


@dataclass(frozen=True)
class PublishedCase:
    """What was published of one model: FP32's accuracy, and a run by strategy."""

    baseline_accuracy: float
    runs: Mapping[str, PublishedRun]


PUBLISHED_CASES: dict[str, PublishedCase] = {
    "mobilenet_v1": PublishedCase(
        0.8266,
        {"basic": PublishedRun(0.8372, 88.2132), "sigopt": PublishedRun(0.8372, 83.7495)},
    ),
    "resnet50_v1": PublishedCase(
        0.8299,
        {"basic": PublishedRun(0.8294, 85.0837), "sigopt": PublishedRun(0.8291, 83.4469)},
    ),
}
PUBLISHED_COLUMNS: dict[str, str] = {
    "strategy": "The published table has basic and sigopt.",
    "FP32 baseline": "Accuracy of the model before quantization, here.",
    "FP32 published": "The same, as published.",
    "int8 accuracy": "Accuracy of the model returned, here.",
    "int8 published": "The same, as published.",
    "duration (s)": "Wall time of one evaluation of that model, here.",
    "published (s)": "The same, as published.",
}
_SENTENCE = (
    "The published durations are wall times of one evaluation, from a single run on another "
    "machine: they cannot be compared with ours in absolute terms."
)


def published_table(comparison: Comparison) -> ReportTable | None:
    """The published columns; ``None`` where nothing was published of this model and framework."""
    case = PUBLISHED_CASES.get(comparison.model)
    if case is None or comparison.framework != "tensorflow":
        return None
    baseline = (accuracy_text(comparison.baseline_accuracy), accuracy_text(case.baseline_accuracy))
    rows = []
    for name, run in case.runs.items():
        theirs = (accuracy_text(run.int8_accuracy), seconds_text(run.duration_seconds, 4))
        for label, accuracy, seconds in _ours(name, comparison.strategies):
            cells = (label, *baseline, accuracy, theirs[0], seconds, theirs[1])
            rows.append(Row(cells))
    return ReportTable(
        "Beside Neural Compressor's published figures",
        PUBLISHED_COLUMNS,
        tuple(rows),
        (_SENTENCE,),
    )


def _ours(name: str, strategies: Sequence[StrategyResult]) -> list[tuple[str, str, str]]:
    """Label, accuracy and duration of our runs of a strategy; one without figures if none ran."""
    runs = [strategy for strategy in strategies if strategy.group == name] or [
        strategy
        for strategy in strategies
        if strategy.outcome is not None and strategy.outcome.strategy == name
    ]
    lines = []
    for run in runs:
        trial = run.shown if run.found else None
        lines.append(
            (
                run.label,
                accuracy_text(trial.accuracy if trial else None),
                seconds_text(trial.duration_seconds if trial else None, 2),
            )
        )
    return lines or [(name, NOTHING, NOTHING)]
