"""The pictures of a comparison, as PNG files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.judging.runtime_rows import batch_sizes
from nc_sigopt_benchmarks.reporting.op_plot import op_figure, winner
from nc_sigopt_benchmarks.reporting.phase_plot import phase_figure
from nc_sigopt_benchmarks.reporting.plot_style import save
from nc_sigopt_benchmarks.reporting.progress_plots import best_so_far, progress_figure, time_figure
from nc_sigopt_benchmarks.reporting.runtime_plot import runtime_figure
from nc_sigopt_benchmarks.reporting.scatter_plots import accuracy_figure, metric_figure
from nc_sigopt_benchmarks.reporting.summary import metric_names

__all__ = [
    "accuracy_figure",
    "accuracy_vs_latency",
    "best_latency_vs_time",
    "best_latency_vs_trials",
    "best_so_far",
    "draw_all",
    "metric_figure",
    "op_figure",
    "phase_figure",
    "progress_figure",
    "time_figure",
]
ACCURACY_PLOT = "accuracy_vs_latency.png"
PROGRESS_PLOT = "best_latency_vs_trials.png"
TIME_PLOT = "best_latency_vs_time.png"
OP_PLOT = "winner_by_op.png"
PHASE_PLOT = "trial_time_by_phase.png"
_ENDS = "Each line ends at the model returned, at its latency in the table."


def accuracy_vs_latency(comparison: Comparison, path: Path) -> Path:
    """Every trial whose latency is known: accuracy over milliseconds per batch, and the bound.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return save(accuracy_figure(comparison), path)


def best_latency_vs_trials(comparison: Comparison, path: Path) -> Path:
    """Latency of the fastest model so far that meets the bound, and of the one returned.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return save(progress_figure(comparison), path)


def best_latency_vs_time(comparison: Comparison, path: Path) -> Path:
    """The same over wall time.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return save(time_figure(comparison), path)


def draw_all(comparison: Comparison, folder: Path) -> dict[str, Path]:
    """Write every picture that the comparison has data for.

    Args:
        comparison: What is drawn.
        folder: Where the files go; it must be there.

    Returns:
        Caption to file, in the order in which a page shows them.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return {
        caption: save(figure, folder / name) for caption, name, figure in _pictures(comparison)
    }


def _pictures(comparison: Comparison) -> Iterator[tuple[str, str, Any]]:
    for size in batch_sizes(comparison.runtimes):
        yield (
            f"Accuracy against speed at batch {size}: filled where the bound is met, ours with a "
            "black edge.",
            f"accuracy_vs_speed_b{size}.png",
            runtime_figure(comparison, size),
        )
    if not comparison.runtimes:
        yield from _pictures_of_trials(comparison)
    best = winner(comparison)
    if best is not None:
        yield (
            "The best model op by op, in graph order: the type chosen, the milliseconds that it "
            "saves, and what it costs, with 95 % intervals where they are known; ? where nothing "
            "is.",
            OP_PLOT,
            op_figure(best),
        )
    phases = phase_figure(comparison)
    if phases is not None:
        yield "Median seconds per trial, by phase.", PHASE_PLOT, phases
    for number, name in enumerate(metric_names(comparison), start=1):
        yield (
            f"The stored metric {name} against latency.",
            f"metric_{number}_{re.sub(r'[^A-Za-z0-9]+', '_', name)[:40]}.png",
            metric_figure(comparison, name),
        )


def _pictures_of_trials(comparison: Comparison) -> Iterator[tuple[str, str, Any]]:
    yield (
        "Accuracy against latency of all trials, with their Pareto front. The model returned is "
        "at its latency in the table.",
        ACCURACY_PLOT,
        accuracy_figure(comparison),
    )
    yield (
        f"Latency of the fastest model so far that meets the bound, over trials. {_ENDS}",
        PROGRESS_PLOT,
        progress_figure(comparison),
    )
    yield (
        f"The same over the wall time of each run. {_ENDS}",
        TIME_PLOT,
        time_figure(comparison),
    )
