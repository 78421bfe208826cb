"""The engine's sampler, asked while other suggestions are still open."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.racing.optuna_sampler import (
    Asking,
    SamplerBuilder,
    finished_trial,
    search_space,
    silent_study,
    tuning_experiment,
)
from nc_sigopt_benchmarks.research.racing.trial import Trial, choice_key
from nc_sigopt_benchmarks.research.racing.untried import untried_choice
from nc_sigopt_strategy.sampling import read_constraints
from nc_sigopt_strategy.sampling.asking import RETRIES, ask, derived_seed

_NEVER_ASKED = RandomSampler(seed=0)
_PATIENCE = 100


class SharedStudy:
    """One study of several workers: open trials are RUNNING ones in it, as the engine has them.

    With one worker it suggests what ``OptunaCompetitor`` does. ``taken_back`` counts the
    suggestions that were made before, or that another worker had open.

    Args:
        landscape: What is searched.
        seed: The run's seed.
        build: Builds the sampler.
        blind: Whether each worker has a sampler of its own that learns of a suggestion of
            others only when it is observed, as beside a SigOpt server that only records. A
            suggestion that another worker has open is then taken back and asked for again.
    """

    def __init__(
        self, landscape: Landscape, seed: int, build: SamplerBuilder, *, blind: bool = False
    ) -> None:
        self._landscape, self._seed, self._build = landscape, seed, build
        self._blind = blind
        self._space = search_space(landscape)
        self._storage = InMemoryStorage()
        self._study = silent_study(storage=self._storage, sampler=_NEVER_ASKED)
        self._experiment = tuning_experiment(landscape)
        self._ids: list[int] = []
        self._tried: set[bytes] = set()
        self.taken_back = 0

    def open(self, choice: Choices) -> int:
        """Open a suggestion, of shape (parameters,); its number, from 0."""
        assignments = self._landscape.assignments(choice)
        self._tried.add(choice_key(choice))
        if self._blind:
            self._ids.append(-1)
            return len(self._ids) - 1
        running = create_trial(
            state=TrialState.RUNNING,
            params={name: assignments[name] for name in self._space},
            distributions=self._space,
        )
        self._ids.append(self._storage.create_new_trial(self._study._study_id, running))
        return len(self._ids) - 1

    def observe(self, number: int, trial: Trial) -> None:
        """Report what the suggestion with this number gave."""
        found, identifier = finished_trial(self._landscape, self._space, trial), self._ids[number]
        if self._blind:
            self._storage.create_new_trial(self._study._study_id, found)
            return
        for key, value in found.user_attrs.items():
            self._storage.set_trial_user_attr(identifier, key, value)
        for key, value in found.system_attrs.items():
            self._storage.set_trial_system_attr(identifier, key, value)
        self._storage.set_trial_state_values(identifier, TrialState.COMPLETE, found.values)

    def suggest(self) -> Choices | None:
        """An untried configuration, in the end a random one; ``None`` if there is none."""
        # A study that was opened before keeps the trials that it had then in a cache of its own.
        study = optuna.load_study(
            study_name=self._study.study_name, storage=self._storage, sampler=_NEVER_ASKED
        )
        number = len(study.get_trials(deepcopy=False))
        # The engine gives up after some retries; a worker whose suggestion is taken does not.
        for attempt in range(1 + (_PATIENCE if self._blind else RETRIES)):
            seed = derived_seed(self._seed, number, attempt)
            sampler = self._build(Asking(seed, self._space, read_constraints, self._experiment))
            choice = self._landscape.positions(ask(sampler, study, self._space, number))
            if choice_key(choice) not in self._tried:
                return choice
            self.taken_back += 1
        rng = np.random.default_rng(derived_seed(self._seed, number, "untried"))
        return untried_choice(self._landscape, self._tried, rng)
