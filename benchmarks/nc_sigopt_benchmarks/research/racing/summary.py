"""What the runs of a race say together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_benchmarks.research.racing.result import RunResult

MARKS = (10, 20, 40, 60, 100)
GROUPS = ("assumptions hold", "assumptions broken", "recorded")
ALL = "all"


@dataclass(frozen=True)
class Standing:
    """How a competitor stands on a family, or on all of a group, after so many trials.

    Ratios are the winner's true latency over the optimum's; infinite where no trial met the bound.

    Attributes:
        group: One of ``GROUPS``.
        family: See ``family_of``, or ``ALL``.
        competitor: Its name.
        trials: After how many.
        runs: How many runs this is about.
        median: Of the ratio.
        quartiles: Of the ratio.
        median_if_right: Median of the ratio where a wrong verdict counts as no winner: a winner
            that misses the bound may well be faster than the optimum.
        no_winner: Share of the runs.
        wrong: Share of the runs whose winner truly misses the bound by more than the standard
            deviation of a measured accuracy.
        below: Share of the runs whose winner truly misses the bound, by however little. A search
            that goes to the bound has winners on both sides of it.
    """

    group: str
    family: str
    competitor: str
    trials: int
    runs: int
    median: float
    quartiles: tuple[float, float]
    median_if_right: float
    no_winner: float
    wrong: float
    below: float

    def to_json(self) -> dict[str, Any]:
        """Plain data; infinities become ``None``."""
        plain = dict(vars(self))
        plain["quartiles"] = [_finite(value) for value in self.quartiles]
        for name in ("median", "median_if_right"):
            plain[name] = _finite(plain[name])
        return plain


@dataclass(frozen=True)
class Pace:
    """How long a competitor's suggestions take, in a group; seconds."""

    group: str
    competitor: str
    median: float
    percentile_95: float


@dataclass(frozen=True)
class Summary:
    """All standings and paces, and the runs that broke off."""

    standings: tuple[Standing, ...]
    paces: tuple[Pace, ...]
    broken_off: tuple[RunResult, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "standings": [standing.to_json() for standing in self.standings],
            "seconds_per_suggestion": [dict(vars(pace)) for pace in self.paces],
            "broken_off": [
                {"run": f"{run.landscape} {run.competitor} {run.seed}", "error": run.error}
                for run in self.broken_off
            ],
        }

    def of(self, group: str, family: str, trials: int) -> list[Standing]:
        """The standings on a family after so many trials, in the competitors' order."""
        return [
            standing
            for standing in self.standings
            if (standing.group, standing.family, standing.trials) == (group, family, trials)
        ]

    def pace(self, group: str, competitor: str) -> Pace | None:
        """How long this competitor takes; ``None`` where it made no suggestion."""
        for pace in self.paces:
            if (pace.group, pace.competitor) == (group, competitor):
                return pace
        return None

    def families(self, group: str) -> list[str]:
        """The families of a group, ``ALL`` not among them."""
        found = dict.fromkeys(s.family for s in self.standings if s.group == group)
        return [family for family in found if family != ALL]


def summarize(runs: Sequence[RunResult], marks: Sequence[int]) -> Summary:
    """Standings per family and per group, and paces.

    Args:
        runs: In the order in which families and competitors are to be listed.
        marks: After how many trials.
    """
    standings: list[Standing] = []
    paces: list[Pace] = []
    for group in GROUPS:
        # Without a landscape there was nothing to win.
        members = [run for run in runs if group_of(run) == group and run.trials]
        for family in [*dict.fromkeys(map(family_of, members)), ALL]:
            own = [run for run in members if family in (family_of(run), ALL)]
            for competitor in dict.fromkeys(run.competitor for run in own):
                theirs = [run for run in own if run.competitor == competitor]
                standings.extend(_standing(group, family, theirs, mark) for mark in marks)
        for competitor in dict.fromkeys(run.competitor for run in members):
            seconds = [
                second
                for run in members
                if run.competitor == competitor
                for second in run.suggest_seconds
            ]
            if seconds:
                median, high = quantile(seconds, 0.5), quantile(seconds, 0.95)
                paces.append(Pace(group, competitor, median, high))
    return Summary(
        tuple(standings), tuple(paces), tuple(run for run in runs if run.error is not None)
    )


def marks_within(trials: int) -> tuple[int, ...]:
    """After how many trials a race of so many is looked at."""
    return tuple(dict.fromkeys([*(mark for mark in MARKS if mark <= trials), trials]))


def group_of(run: RunResult) -> str:
    """Which third of the tables a run belongs to."""
    if run.recorded:
        return GROUPS[2]
    return GROUPS[0] if run.assumptions_hold else GROUPS[1]


def family_of(run: RunResult) -> str:
    """What a run is listed under: its family, or its landscape where that was recorded."""
    return run.landscape if run.recorded else run.family


def ratio_after(run: RunResult, trials: int, *, if_right: bool = False) -> float:
    """The winner's ratio after so many trials; infinite without one.

    Args:
        run: A run.
        trials: After how many.
        if_right: Whether a wrong verdict counts as no winner.
    """
    winner = run.winner(trials)
    if winner is None or (if_right and winner.wrong):
        return math.inf
    return winner.ratio


def quantile(values: Iterable[float], q: float) -> float:
    """As ``numpy.quantile``, for values that may be infinite; at least one is needed."""
    ordered = sorted(values)
    position = q * (len(ordered) - 1)
    low = ordered[math.floor(position)]
    share = position - math.floor(position)
    if not share:
        return low
    high = ordered[math.floor(position) + 1]
    return high if math.isinf(high) else low + share * (high - low)


def _standing(group: str, family: str, runs: Sequence[RunResult], trials: int) -> Standing:
    ratios = [ratio_after(run, trials) for run in runs]
    right = [ratio_after(run, trials, if_right=True) for run in runs]
    winners = [run.winner(trials) for run in runs]
    return Standing(
        group=group,
        family=family,
        competitor=runs[0].competitor,
        trials=trials,
        runs=len(runs),
        median=quantile(ratios, 0.5),
        quartiles=(quantile(ratios, 0.25), quantile(ratios, 0.75)),
        median_if_right=quantile(right, 0.5),
        no_winner=sum(winner is None for winner in winners) / len(runs),
        wrong=sum(winner is not None and winner.wrong for winner in winners) / len(runs),
        below=sum(winner is not None and winner.shortfall > 0 for winner in winners) / len(runs),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
