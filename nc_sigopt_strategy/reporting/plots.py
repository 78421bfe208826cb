"""The two pictures of a comparison, as PNG files.

Colours are of Okabe and Ito's palette, which colour-blind readers can tell apart; every strategy
has a marker of its own besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import MissingExtraError
from ..outcome import TrialRecord
from .comparison import Comparison, StrategyResult

ACCURACY_PLOT = "accuracy_vs_latency.png"
PROGRESS_PLOT = "best_latency_vs_trials.png"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_REFERENCE_COLOUR = "#555555"
_SIZE_INCHES = (7.2, 4.6)
_DOTS_PER_INCH = 150


def accuracy_vs_latency(comparison: Comparison, path: Path) -> Path:
    """Every trial whose latency is known: accuracy over milliseconds per batch, and the bound.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return _save(accuracy_figure(comparison), path)


def accuracy_figure(comparison: Comparison) -> Any:
    """The figure of ``accuracy_vs_latency``."""
    figure, axes = _new_figure()
    shown = []
    for style, strategy in enumerate(comparison.strategies):
        points = [
            trial
            for trial in strategy.trials
            if comparison.trial_latency(strategy, trial) and trial.accuracy is not None
        ]
        shown.extend(points)
        _scatter(axes, points, comparison, strategy, style)
    _draw_references(axes, comparison)
    if comparison.accuracy_target is not None:
        side = "at least" if comparison.higher_is_better else "at most"
        axes.axhline(
            comparison.accuracy_target,
            color="black",
            linestyle="--",
            linewidth=1,
            label=f"bound: {side} {comparison.accuracy_target:.4f}",
        )
        _limit_accuracy(axes, comparison, shown)
    axes.set_xlabel(f"latency of a batch of {comparison.batch_size} (ms)")
    axes.set_ylabel("accuracy")
    axes.set_title(f"{comparison.model}: accuracy against latency, a point per trial", fontsize=11)
    _legend(axes)
    return figure


def best_latency_vs_trials(comparison: Comparison, path: Path) -> Path:
    """Latency of the fastest model so far that meets the bound, and of the one returned.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return _save(progress_figure(comparison), path)


def progress_figure(comparison: Comparison) -> Any:
    """The figure of ``best_latency_vs_trials``; each line ends at what its strategy returned."""
    figure, axes = _new_figure()
    longest = max((len(strategy.trials) for strategy in comparison.strategies), default=0)
    empty = []
    for style, strategy in enumerate(comparison.strategies):
        steps = best_so_far(comparison, strategy)
        if not steps:
            met = any(trial.meets_bound for trial in strategy.trials)
            why = "its models were not timed" if met else "no trial met the bound"
            empty.append(f"{strategy.label}: {why}")
            continue
        numbers = [number for number, _ in steps]
        milliseconds = [latency * 1e3 for _, latency in steps]
        # What is returned need not be what was fastest when each trial was timed by itself.
        last = max(len(strategy.trials), numbers[-1])
        end = strategy.timed.latency_seconds.value * 1e3 if strategy.timed else milliseconds[-1]
        axes.step(
            [*numbers, last],
            [*milliseconds, end],
            where="post",
            color=_COLOURS[style % len(_COLOURS)],
            linewidth=2,
            label=strategy.label,
        )
        axes.plot(
            numbers,
            milliseconds,
            linestyle="none",
            marker=_MARKERS[style % len(_MARKERS)],
            color=_COLOURS[style % len(_COLOURS)],
            markersize=5,
        )
        if strategy.timed is not None:
            _draw_returned(axes, strategy, style, (last, end))
    if comparison.fp32 is not None:
        value = comparison.fp32.latency_seconds.value * 1e3
        axes.axhline(value, color=_REFERENCE_COLOUR, linestyle=":", linewidth=1.2, label="fp32")
    for line, text in enumerate(empty):
        position = (0.02, 0.03 + 0.06 * line)
        axes.annotate(text, position, xycoords="axes fraction", fontsize=9)
    axes.margins(y=0.1)  # the large marker at a line's end stays whole
    axes.set_ylim(bottom=0)
    axes.set_xlim(0.5, max(longest, 2) + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("trials")
    axes.set_ylabel(f"best latency that meets the bound (ms, batch of {comparison.batch_size})")
    axes.set_title(f"{comparison.model}: fastest model found so far", fontsize=11)
    _legend(axes)
    return figure


def best_so_far(comparison: Comparison, strategy: StrategyResult) -> list[tuple[int, float]]:
    """Each trial number at which the least latency (seconds) that meets the bound fell."""
    steps: list[tuple[int, float]] = []
    for trial in strategy.trials:
        latency = comparison.trial_latency(strategy, trial)
        if not trial.meets_bound or not latency:
            continue
        if not steps or latency < steps[-1][1]:
            steps.append((trial.number, latency))
    return steps


def _new_figure() -> tuple[Any, Any]:
    try:
        # Not pyplot: it looks for a display and keeps every figure alive.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            f"Plots need matplotlib, which cannot be imported: {error}.",
            "Install it with: pip install 'nc_sigopt_strategy[report]'",
        ) from error
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _scatter(
    axes: Any,
    points: Sequence[TrialRecord],
    comparison: Comparison,
    strategy: StrategyResult,
    style: int,
) -> None:
    colour, marker = _COLOURS[style % len(_COLOURS)], _MARKERS[style % len(_MARKERS)]
    best = strategy.outcome.best if strategy.outcome else None
    for met in (False, True):
        part = [
            trial
            for trial in points
            if bool(trial.meets_bound) is met and not strategy.returned(trial)
        ]
        axes.scatter(
            [(comparison.trial_latency(strategy, trial) or 0.0) * 1e3 for trial in part],
            [trial.accuracy for trial in part],
            marker=marker,
            s=34,
            facecolors=colour if met else "none",
            edgecolors=colour,
            alpha=0.8,
            label=f"{strategy.label}: {'meets the bound' if met else 'misses it'}"
            if part
            else None,
        )
    latency = comparison.trial_latency(strategy, best) if best is not None else None
    if best is not None and latency is not None and best.accuracy is not None:
        _draw_returned(axes, strategy, style, (latency * 1e3, best.accuracy))


def _draw_returned(
    axes: Any, strategy: StrategyResult, style: int, place: tuple[float, float]
) -> None:
    """The point of the model that a strategy returned."""
    axes.plot(
        *place,
        marker=_MARKERS[style % len(_MARKERS)],
        markersize=10,
        markerfacecolor=_COLOURS[style % len(_COLOURS)],
        markeredgecolor="black",
        markeredgewidth=1.6,
        linestyle="none",
        label=f"{strategy.label}: returned",
    )


def _draw_references(axes: Any, comparison: Comparison) -> None:
    default = comparison.default_int8_trial
    references = [
        ("fp32", "*", comparison.fp32, comparison.baseline_accuracy),
        ("default int8", "X", comparison.default_int8, default.accuracy if default else None),
    ]
    for name, marker, timed, accuracy in references:
        if timed is not None and accuracy is not None:
            axes.plot(
                timed.latency_seconds.value * 1e3,
                accuracy,
                marker=marker,
                markersize=11,
                color=_REFERENCE_COLOUR,
                linestyle="none",
                label=name,
            )


def _limit_accuracy(axes: Any, comparison: Comparison, shown: Sequence[TrialRecord]) -> None:
    """Keep the bound readable: a few trials at chance level must not squeeze all others."""
    target, baseline = comparison.accuracy_target, comparison.baseline_accuracy
    values = sorted(trial.accuracy for trial in shown if trial.accuracy is not None)
    if target is None or baseline is None or len(values) < 4 or not comparison.higher_is_better:
        return
    low = values[len(values) // 10]  # the tenth percentile stays in the picture
    low = min(low, target - (baseline - target))
    cut = sum(value < low for value in values)
    high = max(values[-1], baseline)
    margin = 0.08 * (high - low)
    if cut:
        axes.annotate(
            f"{cut} trial{'s' if cut > 1 else ''} below {low - margin:.3f} not shown",
            (0.99, 0.02),
            xycoords="axes fraction",
            ha="right",
            fontsize=8,
            color=_REFERENCE_COLOUR,
        )
    axes.set_ylim(low - margin, high + margin)


def _legend(axes: Any) -> None:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8, framealpha=0.9, markerscale=0.7)


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, format="png")
    return path
