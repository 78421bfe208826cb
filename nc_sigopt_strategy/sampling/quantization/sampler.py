"""The sampler as Optuna sees it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import ThreadpoolController

from nc_sigopt_strategy.sampling.conventions import TuningExperiment
from nc_sigopt_strategy.sampling.quantization.front_threshold import draw_threshold
from nc_sigopt_strategy.sampling.quantization.op_space import OpSpace, is_type_choice
from nc_sigopt_strategy.sampling.quantization.suggestion import suggest
from nc_sigopt_strategy.sampling.quantization.trial_arrays import TrialArrays


def one_blas_thread() -> AbstractContextManager[object]:
    """Inside, linear algebra runs in one thread.

    For matrices of a few hundred rows several threads cost more than they bring, most of all
    beside a framework with threads of its own.
    """
    limits: AbstractContextManager[object] = _threads().limit(limits=1, user_api="blas")
    return limits


@functools.lru_cache(maxsize=1)
def _threads() -> ThreadpoolController:
    """The thread pools of the libraries that are loaded; finding them takes milliseconds."""
    return ThreadpoolController()


def categories(
    search_space: Mapping[str, BaseDistribution],
) -> dict[str, CategoricalDistribution]:
    """The categorical parameters of a search space."""
    return {
        name: domain
        for name, domain in search_space.items()
        if isinstance(domain, CategoricalDistribution)
    }


def is_quantization(search_space: Mapping[str, BaseDistribution]) -> bool:
    """Whether the parameters choose data types: all categorical, most of them among types."""
    domains = categories(search_space)
    of_types = sum(is_type_choice(domain.choices) for domain in domains.values())
    return len(domains) == len(search_space) and 2 * of_types > len(domains)


class QuantizationSampler(BaseSampler):
    """Suggests the fastest configuration that one draw of what is known allows.

    Never one that was tried, is being tried, or failed, while there is another. Where a front is
    wanted, the accuracy to be kept is drawn anew for each suggestion.

    Args:
        search_space: Parameter name to its values, least precise first.
        experiment: Bound, graph, and how to read a trial.
        seed: Seed of its random numbers; ``None`` draws one.
    """

    def __init__(
        self,
        search_space: Mapping[str, CategoricalDistribution],
        experiment: TuningExperiment,
        seed: int | None,
    ) -> None:
        self._search_space = dict(search_space)
        self._experiment = experiment
        self._rng = np.random.default_rng(seed)
        self._random = RandomSampler(seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The search space given at construction."""
        return dict(self._search_space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next configuration, for all parameters."""
        space = OpSpace.of(self._search_space, self._experiment.op_graph)
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        experiment = self._bounded(others)
        history = TrialArrays.of(others, space, experiment)
        with one_blas_thread():
            choice = suggest(space, history, experiment, self._rng)
        return space.assignments(choice)

    def _bounded(self, trials: Sequence[FrozenTrial]) -> TuningExperiment:
        """The experiment, or where a front is wanted the same with a bound."""
        experiment = self._experiment
        if not experiment.wants_front:
            return experiment
        readings = [experiment.read(t) for t in trials if t.state is TrialState.COMPLETE]
        threshold = draw_threshold(readings, experiment, self._rng)
        return dataclasses.replace(experiment, accuracy_threshold=threshold)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Only reached for a parameter that is not of the search space: a random value."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)
