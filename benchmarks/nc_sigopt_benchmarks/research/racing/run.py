"""One run: a competitor on a landscape, from the common first configurations to its budget."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.landscapes.synthetic import FAMILIES
from nc_sigopt_benchmarks.research.racing.competitors import Entry, is_probed, make_competitor
from nc_sigopt_benchmarks.research.racing.measuring import Measuring
from nc_sigopt_benchmarks.research.racing.result import RunResult, Winner
from nc_sigopt_benchmarks.research.racing.seeding import Seeding
from nc_sigopt_benchmarks.research.racing.trial import Trial
from nc_sigopt_benchmarks.research.racing.winner import judged_on, winner_changes


@dataclass
class Played:
    """The trials of one run.

    Attributes:
        trials: In order; the first ``seeded`` are the common ones.
        seeded: How many those are.
        suggest_seconds: Wall time of each suggestion of the competitor's own.
        error: What the competitor raised, if it did.
    """

    trials: list[Trial] = field(default_factory=list)
    seeded: int = 0
    suggest_seconds: list[float] = field(default_factory=list)
    error: str | None = None


def play(
    landscape: Landscape,
    seed: int,
    competitor_name: str,
    trials: int,
    measuring: Measuring | None = None,
) -> Played:
    """Let a competitor make its trials.

    Args:
        landscape: What it searches.
        seed: Of the competitor and of the measurements.
        competitor_name: A key of ``COMPETITORS``.
        trials: Budget, the common first configurations included.
        measuring: Makes the trials; ``None``: by the landscape's truth.

    Raises:
        SettingsError: No competitor has this name.
        MissingExtraError: It needs a package that is not installed.
    """
    measuring = measuring or Measuring(landscape, seed)
    played = Played()
    seeding = Seeding(landscape, probed=is_probed(competitor_name))
    competitor = make_competitor(competitor_name, Entry(landscape, seed, trials))
    while played.seeded < trials and (choice := seeding.next()) is not None:
        played.seeded += 1
        played.trials.append(measuring.trial(played.seeded, choice))
        seeding.tell(played.trials[-1])
    for number in range(played.seeded + 1, trials + 1):
        started = time.perf_counter()
        try:
            suggested = competitor.suggest(played.trials)
        except Exception as error:
            played.error = f"{type(error).__name__}: {error}"
            break
        if suggested is None:
            break
        played.suggest_seconds.append(time.perf_counter() - started)
        played.trials.append(measuring.trial(number, suggested))
    return played


def run_one(landscape: Landscape, seed: int, competitor_name: str, trials: int) -> RunResult:
    """Let a competitor make its trials, and judge them by the truth; see ``play``."""
    played = play(landscape, seed, competitor_name, trials)
    best, winners = landscape.optimal_latency, []
    changes = winner_changes(
        played.trials,
        Measuring(landscape, seed),
        judged_on(landscape),
        landscape.bound_confidence,
    )
    for after, trial in changes:
        row = trial.choice[None]
        accuracy = float(landscape.accuracy(row)[0])
        winners.append(
            Winner(
                after=after,
                ratio=float(landscape.latency(row)[0]) / best,
                accuracy=accuracy,
                shortfall=(landscape.bound - accuracy) / landscape.sampling_error,
            )
        )
    return RunResult(
        landscape=landscape.name,
        family=landscape.family,
        assumptions_hold=landscape.assumptions_hold,
        recorded=landscape.family not in FAMILIES,
        images=landscape.images,
        seed=seed,
        competitor=competitor_name,
        budget=trials,
        trials=len(played.trials),
        seeded=played.seeded,
        winners=tuple(winners),
        suggest_seconds=tuple(round(seconds, 6) for seconds in played.suggest_seconds),
        error=played.error,
    )
