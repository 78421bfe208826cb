"""What the trials of a run come to: when it met the bound, where its time went, its repeats."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

PHASES = ("suggest", "quantize", "evaluate", "stored_metrics", "latency", "observe")


@dataclass(frozen=True)
class Reached:
    """When a run came to some model: after how many trials and seconds of its own."""

    trial: int
    seconds: float


@dataclass(frozen=True)
class Spread:
    """Median and range of a figure over repeats; a repeat without one counts as worse than any.

    Attributes:
        median: ``None`` where the repeats in the middle have no figure.
        best: ``None`` where no repeat has a figure.
        worst: ``None`` where some repeat has none.
    """

    median: float | None
    best: float | None
    worst: float | None


def first_met(strategy: StrategyResult) -> Reached | None:
    """The first trial whose model met the bound."""
    for position, trial in enumerate(strategy.trials, start=1):
        if trial.meets_bound:
            return Reached(position, trial.ended_seconds)
    return None


def best_reached(strategy: StrategyResult) -> Reached | None:
    """The first trial whose model is the one that was returned."""
    if strategy.outcome is None or strategy.outcome.best is None:
        return None
    for position, trial in enumerate(strategy.trials, start=1):
        if strategy.returned(trial):
            return Reached(position, trial.ended_seconds)
    return None


def seconds_without_model(strategy: StrategyResult) -> float | None:
    """How long a run searched that never met the bound; ``None`` if it did, or never ran."""
    if strategy.outcome is None or first_met(strategy) is not None or strategy.found:
        return None
    return strategy.outcome.tuning_seconds or None


def phase_medians(trials: Iterable[TrialRecord]) -> dict[str, float]:
    """Median seconds per trial in each phase, of the trials that came to an observation.

    A trial that lacks a phase (a duplicate is not evaluated again) has spent nothing in it.
    """
    spent = [
        trial.phase_seconds
        for trial in trials
        if trial.state is TrialState.OBSERVED and trial.phase_seconds
    ]
    return {
        name: statistics.median(phases.get(name, 0.0) for phases in spent)
        for name in in_phase_order(name for phases in spent for name in phases)
    }


def in_phase_order(names: Iterable[str]) -> list[str]:
    """Each name once, in the order in which a trial goes through the phases."""
    given = set(names)
    return [name for name in PHASES if name in given] + sorted(given - set(PHASES))


def front(strategy: StrategyResult) -> tuple[TrialRecord, ...]:
    """The Pareto front that a run returned, where it searched for one."""
    return strategy.outcome.front if strategy.outcome else ()


def stored_metrics(trial: TrialRecord | None) -> Mapping[str, float]:
    """What the user's own function found about a trial's model; NaN and infinities left out."""
    given = trial.stored_metrics if trial else {}
    # What was not finite came back from JSON as None.
    return {name: value for name, value in given.items() if is_known(value)}


def is_known(figure: float | None) -> TypeGuard[float]:
    """Whether there is a figure, and not NaN or an infinity."""
    return figure is not None and math.isfinite(figure)


def metric_names(comparison: Comparison) -> list[str]:
    """Names of all stored metrics, in the order in which they turn up."""
    names: dict[str, None] = {}
    for strategy in comparison.strategies:
        for trial in strategy.trials:
            names.update(dict.fromkeys(stored_metrics(trial)))
    return list(names)


def spread(figures: Iterable[float | None], *, higher_is_better: bool = False) -> Spread:
    """Median and range of the figures of a strategy's repeats."""
    sign = -1.0 if higher_is_better else 1.0
    ordered = sorted(math.inf if figure is None else sign * figure for figure in figures)
    if not ordered:
        return Spread(None, None, None)
    places = (statistics.median(ordered), ordered[0], ordered[-1])
    return Spread(*(None if math.isinf(value) else sign * value for value in places))


def repeats(comparison: Comparison) -> dict[str, list[StrategyResult]]:
    """Strategy to its runs, where any strategy was run more than once; skipped ones left out."""
    groups: dict[str, list[StrategyResult]] = {}
    for strategy in comparison.strategies:
        if strategy.skipped is None:
            groups.setdefault(strategy.group, []).append(strategy)
    return groups if any(len(runs) > 1 for runs in groups.values()) else {}


def strategy_notes(comparison: Comparison) -> list[tuple[str, str]]:
    """Strategy and note, each note once per strategy and not once per repeat."""
    notes = {(s.group, s.note): None for s in comparison.strategies if s.note}
    return [(group, note) for group, note in notes if note]
