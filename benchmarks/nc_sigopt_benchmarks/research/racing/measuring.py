"""Looks at a landscape that are the same for every competitor."""

from __future__ import annotations

import math

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.racing.trial import Trial, choice_key
from nc_sigopt_strategy.sampling.asking import derived_seed

# The strategy times 12 pairs in a trial (``latency_repeats``) and 40 rounds among finalists.
FINAL_ERROR_SCALE = math.sqrt(12 / 40)


class Measuring:
    """Measures configurations of one landscape in one run.

    Random numbers depend on the landscape, the seed and the configuration only, so a
    configuration has the same measured values whoever tries it and whenever.

    Args:
        landscape: What is measured.
        seed: The run's seed.

    Attributes:
        landscape: As given.
    """

    def __init__(self, landscape: Landscape, seed: int) -> None:
        self.landscape, self._seed = landscape, seed

    def trial(self, number: int, choice: Choices) -> Trial:
        """Measure a configuration, of shape (parameters,), as a trial does."""
        look = self.landscape.look(choice, self._rng("trial", choice))
        return Trial(number, choice, look, look.accuracy >= self.landscape.bound)

    def final_latency(self, choice: Choices) -> float:
        """The latency among finalists, same unit as the landscape's.

        Finalists take turns within a round, so a disturbance meets all of them alike and leaves
        their ratios as they are: only the normal error is drawn, ``FINAL_ERROR_SCALE`` of a
        trial's.
        """
        spread = self.landscape.error.latency * FINAL_ERROR_SCALE
        error = self._rng("final", choice).normal(0.0, spread)
        return float(self.landscape.latency(choice[None])[0] * np.exp(error))

    def _rng(self, purpose: str, choice: Choices) -> np.random.Generator:
        key = choice_key(choice).hex()
        return np.random.default_rng(derived_seed(self.landscape.name, self._seed, purpose, key))
