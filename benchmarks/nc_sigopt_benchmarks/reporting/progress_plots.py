"""The fastest model found so far, over trials and over wall time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.reporting.plot_style import (
    REFERENCE_COLOUR,
    Style,
    group_name,
    key,
    legend_below,
    new_figure,
    plain,
    strategy_keys,
    strategy_styles,
)
from nc_sigopt_strategy.results.trial_record import TrialRecord


def progress_figure(comparison: Comparison) -> Any:
    """Best latency over trials; each line ends at what its strategy returned."""
    figure = _figure(comparison, lambda trial: trial.number, _last_number, "trials")
    axes = figure.axes[0]
    longest = max((len(strategy.trials) for strategy in comparison.strategies), default=0)
    axes.set_xlim(0.5, max(longest, 2) + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def time_figure(comparison: Comparison) -> Any:
    """Best latency over the seconds since each run began."""
    figure = _figure(
        comparison, lambda trial: trial.ended_seconds, _last_second, "seconds since the run began"
    )
    figure.axes[0].set_xlim(left=0)
    return figure


def best_so_far(comparison: Comparison, strategy: StrategyResult) -> list[tuple[int, float]]:
    """Each trial number at which the least latency (seconds) that meets the bound fell."""
    return [(trial.number, latency) for trial, latency in _steps(comparison, strategy)]


def _steps(comparison: Comparison, strategy: StrategyResult) -> list[tuple[TrialRecord, float]]:
    steps: list[tuple[TrialRecord, float]] = []
    for trial in strategy.trials:
        latency = comparison.trial_latency(strategy, trial)
        if not trial.meets_bound or not latency:
            continue
        if not steps or latency < steps[-1][1]:
            steps.append((trial, latency))
    return steps


def _last_number(strategy: StrategyResult) -> float:
    return len(strategy.trials)


def _last_second(strategy: StrategyResult) -> float:
    return strategy.outcome.tuning_seconds if strategy.outcome else 0.0


def _figure(
    comparison: Comparison,
    place: Callable[[TrialRecord], float],
    last: Callable[[StrategyResult], float],
    unit: str,
) -> Any:
    figure, (axes,) = new_figure()
    styles = strategy_styles(comparison)
    drawn: dict[str, int] = dict.fromkeys(styles, 0)
    for strategy in comparison.strategies:
        steps = _steps(comparison, strategy)
        if steps:
            drawn[strategy.group] += 1
            places = [place(trial) for trial, _ in steps]
            milliseconds = [latency * 1e3 for _, latency in steps]
            end = max(last(strategy), places[-1])
            _draw(axes, strategy, styles[strategy.group], places, milliseconds, end)
    if comparison.fp32 is not None:
        value = comparison.fp32.latency_seconds.value * 1e3
        axes.axhline(value, color=REFERENCE_COLOUR, linestyle=":", linewidth=1.2)
    axes.margins(y=0.1)  # the large marker at a line's end stays whole
    axes.set_ylim(bottom=0)
    axes.set_xlabel(unit)
    axes.set_ylabel(f"best latency that meets the bound\n(ms, batch of {comparison.batch_size})")
    title = f"{comparison.model}: fastest model found so far"
    axes.set_title(plain(title), fontsize=10.5)
    legend_below(figure, _keys(comparison, styles, drawn))
    return figure


def _draw(
    axes: Any,
    strategy: StrategyResult,
    style: Style,
    places: list[float],
    milliseconds: list[float],
    last: float,
) -> None:
    # What is returned need not be what was fastest when each trial was timed by itself.
    end = strategy.timed.latency_seconds.value * 1e3 if strategy.timed else milliseconds[-1]
    axes.step(
        [*places, last],
        [*milliseconds, end],
        where="post",
        color=style.colour,
        linestyle=style.line,
        linewidth=1.8,
        alpha=0.9,
        label=strategy.label,
    )
    axes.plot(
        places, milliseconds, linestyle="none", marker=style.marker, color=style.colour,
        markersize=4.5,
    )  # fmt: skip
    if strategy.timed is not None:
        draw_returned(axes, strategy, style, (last, end))


def draw_returned(
    axes: Any, strategy: StrategyResult, style: Style, place: tuple[float, float]
) -> None:
    """The point of the model that a strategy returned, or that was timed though it misses."""
    axes.plot(
        *place,
        marker=style.marker,
        markersize=9,
        markerfacecolor=style.colour if strategy.found else "white",
        markeredgecolor="black" if strategy.found else style.colour,
        markeredgewidth=1.5 if strategy.found else 2.5,
        linestyle="none",
        gid=f"{strategy.label}: returned",
    )


def _keys(
    comparison: Comparison, styles: Mapping[str, Style], drawn: Mapping[str, int]
) -> list[Any]:
    handles = strategy_keys(comparison, styles, lines=True)
    for group, handle in handles.items():
        runs = [strategy for strategy in comparison.strategies if strategy.group == group]
        if drawn[group] < len(runs):
            handle.set_label(
                plain(f"{group_name(comparison, group)}: {_why_less(runs, drawn[group])}")
            )
        if not drawn[group]:
            handle.set_linestyle("none")
            handle.set_markerfacecolor("none")
    if comparison.fp32 is not None:
        handles["fp32 itself"] = key("fp32", color=REFERENCE_COLOUR, linestyle=":", linewidth=1.2)
    return list(handles.values())


def _why_less(runs: list[StrategyResult], drawn: int) -> str:
    """Why not all runs of a group have a line."""
    if drawn:
        return f"{drawn} of {len(runs)} runs"
    if all(run.skipped is not None for run in runs):
        return "skipped"
    if all(run.failure is not None for run in runs):
        return "crashed"
    met = any(trial.meets_bound for run in runs for trial in run.trials)
    return "not timed" if met else "none met the bound"
