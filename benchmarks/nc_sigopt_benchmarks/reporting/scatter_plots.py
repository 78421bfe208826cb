"""Every trial as a point: accuracy, or a stored metric, against latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.judging.timed_models import TimedModel
from nc_sigopt_benchmarks.reporting.plot_style import (
    REFERENCE_COLOUR,
    key,
    legend_below,
    new_figure,
    plain,
    strategy_keys,
    strategy_styles,
)
from nc_sigopt_benchmarks.reporting.progress_plots import draw_returned
from nc_sigopt_benchmarks.reporting.summary import front, is_known, stored_metrics
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.winners.front import non_dominated

Figure = Callable[[TrialRecord], "float | None"]


def accuracy_figure(comparison: Comparison) -> Any:
    """Accuracy against latency of all trials, their Pareto front and the bound."""
    figure, (axes,) = new_figure()
    shown, keys = _draw_trials(axes, comparison, lambda trial: trial.accuracy)
    handles = [
        *keys,
        *_meaning_keys(comparison),
        *_draw_references(axes, comparison),
    ]
    if any(front(strategy) for strategy in comparison.strategies):
        handles.append(_draw_returned_fronts(axes, comparison))
    handles.extend(_draw_front(axes, comparison))
    if comparison.accuracy_target is not None:
        side = "at least" if comparison.higher_is_better else "at most"
        axes.axhline(comparison.accuracy_target, color="black", linestyle="--", linewidth=1)
        label = f"bound: {side} {comparison.accuracy_target:.4f}"
        handles.append(key(label, color="black", linestyle="--", linewidth=1))
        _limit_accuracy(axes, comparison, shown)
    axes.set_ylabel("accuracy")
    axes.set_title(
        plain(f"{comparison.model}: accuracy against latency of all trials"), fontsize=10.5
    )
    _finish(figure, axes, comparison, handles)
    return figure


def metric_figure(comparison: Comparison, name: str) -> Any:
    """One of the user's stored metrics against latency."""
    figure, (axes,) = new_figure()
    _, keys = _draw_trials(axes, comparison, lambda trial: stored_metrics(trial).get(name))
    axes.set_ylabel(plain(name))
    axes.set_title(
        plain(f"{comparison.model}: {name} against latency of all trials"), fontsize=10.5
    )
    _finish(figure, axes, comparison, [*keys, *_meaning_keys(comparison)])
    return figure


def _finish(figure: Any, axes: Any, comparison: Comparison, handles: Sequence[Any]) -> None:
    axes.set_xlabel(f"latency of a batch of {comparison.batch_size} (ms)")
    legend_below(figure, handles)


def _draw_trials(
    axes: Any, comparison: Comparison, figure: Figure
) -> tuple[list[TrialRecord], list[Any]]:
    """Draw every trial that has the figure and a latency.

    Returns:
        Those trials, and the legend's entries of their strategies.
    """
    styles = strategy_styles(comparison)
    keys = strategy_keys(comparison, styles, lines=False)
    groups: dict[str, None] = {}
    shown: list[TrialRecord] = []
    for strategy in comparison.strategies:
        points = [
            trial
            for trial in strategy.trials
            if comparison.trial_latency(strategy, trial) and is_known(figure(trial))
        ]
        shown.extend(points)
        groups.update({strategy.group: None} if points else {})
        _draw_points(axes, points, comparison, strategy, figure)
        alone = _drawn_alone(strategy)
        value = figure(alone) if alone else None
        latency = comparison.trial_latency(strategy, alone) if alone else None
        if latency is not None and is_known(value):
            draw_returned(axes, strategy, styles[strategy.group], (latency * 1e3, value))
    return shown, [keys[group] for group in groups]


def _drawn_alone(strategy: StrategyResult) -> TrialRecord | None:
    """The trial whose point is larger than others: returned, or in the table as timed."""
    return strategy.shown if strategy.found or strategy.timed is not None else None


def _draw_points(
    axes: Any,
    points: Sequence[TrialRecord],
    comparison: Comparison,
    strategy: StrategyResult,
    figure: Figure,
) -> None:
    style = strategy_styles(comparison)[strategy.group]
    for met in (False, True):
        part = [
            trial
            for trial in points
            if bool(trial.meets_bound) is met
            and not strategy.returned(trial)
            and not strategy.was_timed(trial)
        ]
        axes.scatter(
            [(comparison.trial_latency(strategy, trial) or 0.0) * 1e3 for trial in part],
            [figure(trial) for trial in part],
            marker=style.marker,
            s=28,
            facecolors=style.colour if met else "none",
            edgecolors=style.colour,
            alpha=0.75,
        )


def _meaning_keys(comparison: Comparison) -> list[Any]:
    """What a point's filling and edge say."""
    grey = {"color": "#999999", "marker": "o", "linestyle": "none", "markersize": 6}
    keys = [
        key("filled: meets the bound", **grey),
        key("hollow: misses it", markerfacecolor="none", **grey),
    ]
    if any(s.outcome and s.outcome.best for s in comparison.strategies):
        edge = {"markeredgecolor": "black", "markeredgewidth": 1.5, **grey, "markersize": 8}
        keys.append(key("black edge: returned", **edge))
    return keys


def _references(comparison: Comparison) -> list[tuple[str, str, TimedModel, float]]:
    """Name, marker, timing and accuracy of the models that no strategy is credited with."""
    default = comparison.default_int8_trial
    given = [
        ("fp32", "*", comparison.fp32, comparison.baseline_accuracy),
        ("default int8", "X", comparison.default_int8, default.accuracy if default else None),
    ]
    return [
        (name, marker, timed, accuracy)
        for name, marker, timed, accuracy in given
        if timed is not None and accuracy is not None
    ]


def _draw_references(axes: Any, comparison: Comparison) -> list[Any]:
    handles = []
    for name, marker, timed, accuracy in _references(comparison):
        style = {"marker": marker, "markersize": 10, "linestyle": "none"}
        axes.plot(timed.latency_seconds.value * 1e3, accuracy, color=REFERENCE_COLOUR, **style)
        handles.append(key(name, color=REFERENCE_COLOUR, **style))
    return handles


def _draw_front(axes: Any, comparison: Comparison) -> list[Any]:
    """The front over all trials and references; other machines have latencies of their own."""
    points = [
        (latency, trial.accuracy)
        for strategy in comparison.strategies
        if strategy.host is None
        for trial in strategy.trials
        if is_known(trial.accuracy) and (latency := comparison.trial_latency(strategy, trial))
    ]
    points.extend(
        (timed.latency_seconds.value, accuracy)
        for _, _, timed, accuracy in _references(comparison)
    )
    places = non_dominated(points, maximize=comparison.higher_is_better)
    if len(places) < 2:
        return []
    style = {"color": "#999999", "linewidth": 1.4, "zorder": 1}
    axes.step(
        [points[place][0] * 1e3 for place in places],
        [points[place][1] for place in places],
        where="post",
        gid="pareto front",
        **style,
    )
    return [key("Pareto front of all", **style)]


def _draw_returned_fronts(axes: Any, comparison: Comparison) -> Any:
    """A ring around each trial of the fronts that runs returned."""
    style = {"marker": "o", "linestyle": "none", "markerfacecolor": "none", "color": "black"}
    points = [
        (latency * 1e3, trial.accuracy)
        for strategy in comparison.strategies
        for trial in front(strategy)
        if is_known(trial.accuracy) and (latency := comparison.trial_latency(strategy, trial))
    ]
    if points:
        axes.plot(*zip(*points, strict=True), markersize=11, gid="returned front", **style)
    return key("ringed: front returned", markersize=9, **style)


def _limit_accuracy(axes: Any, comparison: Comparison, shown: Sequence[TrialRecord]) -> None:
    """Keep the bound readable: a few trials at chance level must not squeeze all others."""
    target, baseline = comparison.accuracy_target, comparison.baseline_accuracy
    values = sorted(trial.accuracy for trial in shown if trial.accuracy is not None)
    if target is None or baseline is None or len(values) < 4 or not comparison.higher_is_better:
        return
    low = values[len(values) // 10]  # the tenth percentile stays in the picture
    low = min(low, target - (baseline - target))
    high = max(values[-1], baseline)
    margin = 0.08 * (high - low)
    cut = sum(value < low - margin for value in values)
    if cut:
        axes.annotate(
            f"{cut} trial{'s' if cut > 1 else ''} below {low - margin:.3f} not shown",
            (0.99, 0.02),
            xycoords="axes fraction",
            ha="right",
            fontsize=8,
            color=REFERENCE_COLOUR,
        )
    axes.set_ylim(low - margin, high + margin)
