"""The runs that a race consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nc_sigopt_benchmarks.research.racing.competitors import SLOW
from nc_sigopt_benchmarks.research.racing.result import RunResult
from nc_sigopt_benchmarks.research.racing.run import run_one
from nc_sigopt_benchmarks.research.racing.sources import Source
from nc_sigopt_strategy.errors import SigOptStrategyError


@dataclass(frozen=True)
class Task:
    """One run to be made.

    Attributes:
        source: Of the landscape.
        seed: Of the instance and of the run.
        competitor: Its name.
        trials: Budget.
        images: How many images a synthetic accuracy is measured on.
    """

    source: Source
    seed: int
    competitor: str
    trials: int
    images: int

    @property
    def key(self) -> str:
        """What tells it from others in a file of results."""
        return f"{self.source.key}|{self.seed}|{self.competitor}|{self.trials}|{self.images}"

    def run(self) -> RunResult:
        """Make the run in this process; a landscape that cannot be had is a run without trials."""
        try:
            landscape = self.source.load(self.seed, self.images)
        except SigOptStrategyError as error:
            return self._without_trials(str(error))
        return run_one(landscape, self.seed, self.competitor, self.trials)

    def _without_trials(self, error: str) -> RunResult:
        return RunResult(
            landscape=self.source.key,
            family=self.source.key,
            assumptions_hold=False,
            recorded=self.source.path is not None,
            images=self.images,
            seed=self.seed,
            competitor=self.competitor,
            budget=self.trials,
            trials=0,
            seeded=0,
            winners=(),
            suggest_seconds=(),
            error=error,
        )


@dataclass(frozen=True)
class Programme:
    """Who runs where and how often.

    Attributes:
        sources: Of the landscapes.
        competitors: Names.
        seeds: How many, from 0.
        slow_seeds: How many at most for the competitors in ``SLOW``.
        slow_sources: Keys of the sources on which those run; empty for all.
        trials: Budget of a run.
        images: How many images a synthetic accuracy is measured on.
    """

    sources: Sequence[Source]
    competitors: Sequence[str]
    seeds: int
    slow_seeds: int
    slow_sources: frozenset[str]
    trials: int
    images: int

    def tasks(self) -> list[Task]:
        """All runs, those of one seed together, so that an interrupted race is a smaller one."""
        return [
            Task(source, seed, competitor, self.trials, self.images)
            for seed in range(self.seeds)
            for source in self.sources
            for competitor in self.competitors
            if competitor not in SLOW or self._slow_runs(source, seed)
        ]

    def _slow_runs(self, source: Source, seed: int) -> bool:
        chosen = not self.slow_sources or source.key in self.slow_sources
        return chosen and seed < self.slow_seeds
