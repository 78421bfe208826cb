"""Optuna's NSGA-II as a competitor; it marks its trials with generations, so they must be live."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import NSGAIISampler
from optuna.trial import FrozenTrial, TrialState

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.racing.optuna_sampler import search_space, silent_study
from nc_sigopt_benchmarks.research.racing.trial import Trial, choice_key
from nc_sigopt_benchmarks.research.racing.untried import untried_choice
from nc_sigopt_strategy.sampling.asking import RETRIES, derived_seed
from nc_sigopt_strategy.sampling.registry import told_constraints

# Optuna's default of 50 would leave one generation after the random one in 100 trials.
POPULATION = 20
_VIOLATION = "violation"


class Evolution:
    """Keeps one sampler and one study for the whole run.

    Args:
        landscape: What is searched.
        seed: The run's seed.
    """

    def __init__(self, landscape: Landscape, seed: int) -> None:
        self._landscape, self._seed = landscape, seed
        self._space = search_space(landscape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = NSGAIISampler(
                population_size=POPULATION,
                seed=derived_seed(seed, "nsgaii"),
                **told_constraints(_violation),
            )
        self._study = silent_study(sampler=sampler)
        self._open: optuna.Trial | None = None
        self._tried: set[bytes] = set()

    def suggest(self, history: Sequence[Trial]) -> Choices | None:
        """A child of the last generation; after some repeats a random untried configuration."""
        for trial in history[len(self._tried) :]:
            self._tried.add(trial.key)
            self._tell(trial)
        for _ in range(1 + RETRIES):
            asked = self._study.ask(self._space)
            choice = self._landscape.positions(asked.params)
            if choice_key(choice) not in self._tried:
                self._open = asked
                return choice
            self._study.tell(asked, state=TrialState.FAIL)
        rng = np.random.default_rng(derived_seed(self._seed, len(history), "untried"))
        return untried_choice(self._landscape, self._tried, rng)

    def _tell(self, trial: Trial) -> None:
        asked = self._open or self._enqueued(trial.choice)
        self._open = None
        violation = self._landscape.bound - trial.look.accuracy
        asked.set_user_attr(_VIOLATION, violation)
        if constrain := getattr(asked, "set_constraint", None):  # Optuna 5 keeps it with the trial
            constrain(_VIOLATION, violation)
        self._study.tell(asked, trial.look.latency)

    def _enqueued(self, choice: Choices) -> optuna.Trial:
        self._study.enqueue_trial(self._landscape.assignments(choice))
        return self._study.ask(self._space)


def _violation(trial: FrozenTrial) -> Sequence[float]:
    return (trial.user_attrs[_VIOLATION],)
