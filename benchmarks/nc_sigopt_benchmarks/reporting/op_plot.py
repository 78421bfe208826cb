"""The winner op by op: the type chosen, the milliseconds it saves, the accuracy it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.reporting.plot_style import legend_below, new_figure, plain
from nc_sigopt_strategy.reports.short_names import short_names
from nc_sigopt_strategy.reports.type_colours import type_colours
from nc_sigopt_strategy.results.outcome import OpContribution
from nc_sigopt_strategy.space.ops import PRECISIONS

_INCHES_PER_OP = 0.17


@dataclass(frozen=True)
class _Panel:
    figure: str
    error: str | None
    label: str


_SAVED = _Panel("milliseconds_saved", "milliseconds_stderr", "milliseconds saved")
_COST = _Panel("accuracy_cost", "accuracy_cost_stderr", "accuracy cost")
_NOISE = _Panel("noise", None, "output noise")


def winner(comparison: Comparison) -> StrategyResult | None:
    """The run whose model is the comparison's best, if its contributions op by op are known."""
    for strategy in comparison.strategies:
        if strategy.label == comparison.best_label and _contributions(strategy):
            return strategy
    return None


def op_figure(strategy: StrategyResult) -> Any:
    """A horizontal bar per op, in graph order; an op without a figure has a question mark.

    Args:
        strategy: A run whose outcome has ``op_contributions``.
    """
    ops = _contributions(strategy)
    panels = _panels(ops)
    figure, all_axes = new_figure(height=1.3 + _INCHES_PER_OP * len(ops), panels=len(panels))
    values = list(dict.fromkeys(op.value for op in ops))
    colours = type_colours(values)
    rows = range(len(ops))
    for axes, panel in zip(all_axes, panels, strict=True):
        figures = [getattr(op, panel.figure) for op in ops]
        errors = [_error(op, panel) for op in ops]
        axes.barh(
            rows,
            [figure or 0.0 for figure in figures],
            xerr=errors if any(errors) else None,
            height=0.75,
            color=[colours[op.value] for op in ops],
            error_kw={"elinewidth": 0.8, "ecolor": "#555555"},
        )
        for row in (row for row in rows if figures[row] is None):
            axes.annotate("?", (0, row), fontsize=7, va="center", color="#555555")
        axes.axvline(0, color="#555555", linewidth=0.8)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(panel.label)
    all_axes[0].set_yticks(
        rows, [plain(name) for name in short_names([op.op for op in ops])], fontsize=7
    )
    all_axes[0].set_ylim(len(ops) - 0.4, -0.6)
    figure.suptitle(plain(f"{strategy.label}'s model, op by op"), fontsize=10.5)
    legend_below(figure, _keys(ops, colours))
    return figure


def _contributions(strategy: StrategyResult) -> Sequence[OpContribution]:
    outcome = strategy.outcome
    # Where FP32 won they are of another model, which the picture is not about.
    if outcome is None or list(outcome.ops_by_type) == [PRECISIONS[-1]]:
        return ()
    return outcome.op_contributions


def _panels(ops: Sequence[OpContribution]) -> list[_Panel]:
    """Those that any op has a figure for; noise only where the accuracy's cost is not known."""

    def known(panel: _Panel) -> bool:
        return any(getattr(op, panel.figure) is not None for op in ops)

    second = _COST if known(_COST) else _NOISE
    return [panel for panel in (_SAVED, second) if known(panel)] or [_SAVED]


def _error(op: OpContribution, panel: _Panel) -> float:
    """What the whisker spans: 1.96 standard errors, 95 %."""
    error: float | None = getattr(op, panel.error) if panel.error else None
    if error is None or getattr(op, panel.figure) is None:
        return 0.0
    return 1.96 * error


def _keys(ops: Sequence[OpContribution], colours: dict[str, str]) -> list[Any]:
    from matplotlib.patches import Patch

    counts = {value: sum(op.value == value for op in ops) for value in colours}
    return [
        Patch(color=colour, label=plain(f"{value}: {counts[value]} ops"))
        for value, colour in colours.items()
    ]
