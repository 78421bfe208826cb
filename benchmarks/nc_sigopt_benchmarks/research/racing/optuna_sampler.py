"""An Optuna sampler as a competitor, asked the way the embedded engine asks it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.racing.trial import Trial, choice_key
from nc_sigopt_benchmarks.research.racing.untried import untried_choice
from nc_sigopt_strategy.sampling import (
    CONSTRAINTS_ATTR,
    Constraints,
    Reading,
    TuningExperiment,
    read_constraints,
)
from nc_sigopt_strategy.sampling.asking import RETRIES, ask, derived_seed
from nc_sigopt_strategy.sampling.probes import Probing

_READING_ATTR = "reading"
_UNPROBED = Probing()
_NEVER_ASKED = RandomSampler(seed=0)

SearchSpace = dict[str, BaseDistribution]


@dataclass(frozen=True)
class Asking:
    """What a sampler is built from.

    Attributes:
        seed: 0 to 2**32 - 1, another one for each suggestion and retry.
        space: Parameter name to distribution, in alphabetical order.
        constraints: Bound minus accuracy of a finished trial.
        experiment: What the experiment tells of itself.
    """

    seed: int
    space: SearchSpace
    constraints: Constraints
    experiment: TuningExperiment


SamplerBuilder = Callable[[Asking], BaseSampler]


class OptunaCompetitor:
    """Keeps an in-memory study and asks a fresh sampler for each suggestion.

    Args:
        landscape: What is searched.
        seed: The run's seed.
        build: Builds the sampler.
        relative: Whether it is asked for all parameters at once, or for one by one.
        probing: What is measured before the first trial.
    """

    def __init__(
        self,
        landscape: Landscape,
        seed: int,
        build: SamplerBuilder,
        *,
        relative: bool = True,
        probing: Probing = _UNPROBED,
    ) -> None:
        self._landscape, self._seed, self._build = landscape, seed, build
        self._relative = relative
        self._space = search_space(landscape)
        self._storage = InMemoryStorage()
        self._study = silent_study(storage=self._storage, sampler=_NEVER_ASKED)
        self._experiment = dataclasses.replace(
            tuning_experiment(landscape),
            probes=probing.found,
            expected_noise_limit=probing.noise_limit,
        )
        self._tried: set[bytes] = set()

    def suggest(self, history: Sequence[Trial]) -> Choices | None:
        """The sampler's word; after ``RETRIES`` repeats a random untried configuration."""
        for trial in history[len(self._tried) :]:
            self._tried.add(trial.key)
            self._study.add_trial(finished_trial(self._landscape, self._space, trial))
        # A study that was opened before keeps the trials that it had then in a cache of its own.
        study = optuna.load_study(
            study_name=self._study.study_name, storage=self._storage, sampler=_NEVER_ASKED
        )
        number = len(history)
        for attempt in range(1 + RETRIES):
            sampler = self._build(
                Asking(
                    derived_seed(self._seed, number, attempt),
                    self._space,
                    read_constraints,
                    self._experiment,
                )
            )
            asked = ask(sampler, study, self._space, number, relative=self._relative)
            choice = self._landscape.positions(asked)
            if choice_key(choice) not in self._tried:
                return choice
        rng = np.random.default_rng(derived_seed(self._seed, number, "untried"))
        return untried_choice(self._landscape, self._tried, rng)


def search_space(landscape: Landscape) -> SearchSpace:
    """The landscape's parameters in alphabetical order, as the engine keeps them."""
    return {
        name: CategoricalDistribution(landscape.parameters[name])
        for name in sorted(landscape.parameters)
    }


def tuning_experiment(landscape: Landscape) -> TuningExperiment:
    """What an experiment on this landscape tells a sampler."""
    return TuningExperiment(
        read=_read,
        accuracy_threshold=landscape.bound,
        maximize_accuracy=True,
        baseline_accuracy=landscape.baseline_accuracy,
        op_graph=landscape.op_graph,
        bound_confidence=landscape.bound_confidence,
    )


def finished_trial(landscape: Landscape, space: SearchSpace, trial: Trial) -> FrozenTrial:
    """A trial of the race as a COMPLETE one of Optuna's."""
    assignments = landscape.assignments(trial.choice)
    look = trial.look
    return create_trial(
        state=TrialState.COMPLETE,
        value=look.latency,
        params={name: assignments[name] for name in space},
        distributions=space,
        system_attrs={CONSTRAINTS_ATTR: [landscape.bound - look.accuracy]},
        user_attrs={
            _READING_ATTR: {
                "latency": look.latency,
                "latency_stderr": look.latency_stderr,
                "accuracy": look.accuracy,
                "accuracy_stderr": look.accuracy_stderr,
                "output_noise": look.output_noise,
                "turned": look.turned,
            }
        },
    )


def silent_study(**settings: Any) -> optuna.Study:
    """A new study; see ``optuna.create_study``. It does not say so on standard error."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(**settings)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _read(trial: FrozenTrial) -> Reading:
    return Reading(**trial.user_attrs[_READING_ATTR])
