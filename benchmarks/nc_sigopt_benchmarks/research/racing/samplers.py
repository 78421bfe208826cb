"""The Optuna samplers that race: this package's own by name, and Optuna's with constraints."""

from __future__ import annotations

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler

from nc_sigopt_benchmarks.research.racing.optuna_sampler import Asking, SamplerBuilder
from nc_sigopt_strategy.sampling.registry import STARTUP_TRIALS, make_sampler, told_constraints


def own(name: str) -> SamplerBuilder:
    """A sampler of ``nc_sigopt_strategy.sampling``, as the embedded engine builds it."""

    def build(asking: Asking) -> BaseSampler:
        return make_sampler(
            name,
            seed=asking.seed,
            search_space=asking.space,
            constraints_func=asking.constraints,
            experiment=asking.experiment,
        )

    return build


def univariate_tpe(asking: Asking) -> BaseSampler:
    """Optuna's TPE with each parameter by itself, which is how Optuna 4 brings it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            seed=asking.seed,
            n_startup_trials=STARTUP_TRIALS,
            multivariate=False,
            constant_liar=False,
            **told_constraints(asking.constraints),
        )
