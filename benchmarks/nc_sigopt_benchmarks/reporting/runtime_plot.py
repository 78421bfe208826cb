"""Every model of a comparison across runtimes as a point: accuracy against speed."""

from __future__ import annotations

from typing import Any

from nc_sigopt_benchmarks.config.rivals import RUNTIME_TITLES
from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.reporting.plot_style import COLOURS, key, legend_below, new_figure, plain
from nc_sigopt_benchmarks.reporting.point_labels import PointLabel, label_points

_MARKERS = ("o", "s", "^")


def runtime_figure(comparison: Comparison, batch_size: int) -> Any:
    """Accuracy against speed over the reference at one batch size; filled where the bound is met.

    Ours have a black edge, and every point the label of its row.
    """
    figure, (axes,) = new_figure(4.6)
    handles, labels = [], []
    for place, (runtime, title) in enumerate(RUNTIME_TITLES.items()):
        shown = False
        for row in comparison.runtimes:
            timing = row.timing(batch_size)
            if row.runtime != runtime or timing is None or row.accuracy is None:
                continue
            shown = True
            speed, colour = timing.wall.speedup, COLOURS[place]
            axes.errorbar(
                speed.value,
                row.accuracy,
                xerr=[[speed.value - speed.low], [speed.high - speed.value]],
                color=colour,
                linewidth=1,
                marker=_MARKERS[place],
                markersize=8,
                markerfacecolor=colour if row.meets_bound else "none",
                markeredgecolor="black" if row.ours else colour,
                markeredgewidth=2 if row.ours else 1,
            )
            labels.append(PointLabel(row.label, speed.value, row.accuracy))
        if shown:
            style = {"color": COLOURS[place], "marker": _MARKERS[place], "linestyle": "none"}
            handles.append(key(title, **style))
    if comparison.accuracy_target is not None:
        axes.axhline(comparison.accuracy_target, color="black", linestyle="--", linewidth=1)
        side = "at least" if comparison.higher_is_better else "at most"
        label = f"bound: {side} {comparison.accuracy_target:.4f}"
        handles.append(key(label, color="black", linestyle="--", linewidth=1))
    axes.margins(x=0.15, y=0.1)
    axes.set_xlabel(f"speed at batch {batch_size}, over the reference's")
    axes.set_ylabel("accuracy")
    axes.set_title(plain(f"{comparison.model}: accuracy against speed"), fontsize=10.5)
    legend_below(figure, handles)
    label_points(figure, axes, labels)
    return figure
