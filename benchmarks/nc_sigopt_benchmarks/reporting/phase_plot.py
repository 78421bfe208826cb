"""Where the seconds of a trial go, by strategy."""

from __future__ import annotations

from typing import Any

from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.reporting.plot_style import (
    COLOURS,
    group_name,
    legend_below,
    new_figure,
    plain,
    strategy_styles,
)
from nc_sigopt_benchmarks.reporting.summary import in_phase_order, phase_medians

_INCHES_PER_BAR = 0.3


def phase_figure(comparison: Comparison) -> Any | None:
    """Median seconds per phase, a stacked bar per strategy; ``None`` where nobody recorded any."""
    spent = {
        group: phase_medians(
            trial
            for strategy in comparison.strategies
            if strategy.group == group
            for trial in strategy.trials
        )
        for group in strategy_styles(comparison)
    }
    spent = {group: phases for group, phases in spent.items() if phases}
    if not spent:
        return None
    figure, (axes,) = new_figure(height=1.2 + _INCHES_PER_BAR * len(spent))
    names = [plain(group_name(comparison, group)) for group in spent]
    ends = [0.0] * len(spent)
    handles = []
    for place, phase in enumerate(
        in_phase_order(name for phases in spent.values() for name in phases)
    ):
        seconds = [phases.get(phase, 0.0) for phases in spent.values()]
        bars = axes.barh(
            names, seconds, left=ends, height=0.7, color=COLOURS[place % len(COLOURS)], label=phase
        )
        handles.append(bars)
        ends = [end + more for end, more in zip(ends, seconds, strict=True)]
    for name, end in zip(names, ends, strict=True):
        axes.annotate(
            f"{end:.2g} s", (end, name), xytext=(4, 0), textcoords="offset points", va="center",
            fontsize=8,
        )  # fmt: skip
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.1)
    axes.set_xlabel("median seconds per trial")
    axes.set_title(plain(f"{comparison.model}: trial time by phase"), fontsize=10.5)
    legend_below(figure, handles)
    return figure
