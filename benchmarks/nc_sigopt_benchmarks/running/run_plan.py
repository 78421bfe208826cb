"""Which runs a comparison is made of, and in which order."""

from __future__ import annotations

import random
from dataclasses import dataclass

from nc_sigopt_benchmarks.config.run_config import RunConfig, StrategyConfig


@dataclass(frozen=True)
class PlannedRun:
    """One run of one strategy.

    Attributes:
        strategy: What runs.
        repeat: Number of the repeat, from 1.
        label: Name of the run and of its folder.
        timeout: Budget in seconds; 0 leaves the end to ``max_trials``.
        max_trials: Observation budget.
        seed: Of the strategy's own random choices.
    """

    strategy: StrategyConfig
    repeat: int
    label: str
    timeout: int
    max_trials: int
    seed: int

    @property
    def name(self) -> str:
        """The strategy's name."""
        return self.strategy.name

    @property
    def budget(self) -> str:
        """The budget in words."""
        return f"{self.timeout} s" if self.timeout else f"{self.max_trials} trials"


def planned_run(config: RunConfig, strategy: StrategyConfig, repeat: int = 1) -> PlannedRun:
    """One repeat of one strategy of a run configuration."""
    tuning = config.tuning
    several = tuning.repeats > 1
    return PlannedRun(
        strategy=strategy,
        repeat=repeat,
        label=f"{strategy.label}-{repeat}" if several else strategy.label,
        timeout=tuning.timeout if strategy.timeout is None else strategy.timeout,
        max_trials=tuning.max_trials if strategy.max_trials is None else strategy.max_trials,
        seed=tuning.seed + repeat - 1,
    )


def planned_runs(config: RunConfig) -> list[PlannedRun]:
    """All runs of a comparison.

    Shuffled within each repeat and not over all of them, so that a machine that gets slower, or a
    comparison that is interrupted, disadvantages no strategy.
    """
    shuffle = random.Random(config.tuning.seed).shuffle
    runs: list[PlannedRun] = []
    for repeat in range(1, config.tuning.repeats + 1):
        strategies = list(config.strategies)
        if config.tuning.shuffle:
            shuffle(strategies)
        runs.extend(planned_run(config, strategy, repeat) for strategy in strategies)
    return runs
