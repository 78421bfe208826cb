"""Asking a sampler for a suggestion before there is a trial for it."""

from __future__ import annotations

import hashlib
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from nc_sigopt_strategy.sampling.registry import SearchSpace

# How often the sampler may try again when it names a point that was tried, as SigOpt's server
# does, before a random untried point is taken.
RETRIES = 5


def ask(
    sampler: BaseSampler,
    study: Study,
    space: SearchSpace,
    number: int,
    *,
    relative: bool = True,
) -> dict[str, Any]:
    """A value for every parameter, without a live trial.

    Args:
        sampler: Whom to ask.
        study: Its history.
        space: Parameter name to distribution.
        number: The trial's number in the study, once it is made.
        relative: Whether parameters are asked for all at once first, or one by one only.
    """
    trial = create_trial(state=TrialState.RUNNING)
    trial.number = number
    related: dict[str, Any] = {}
    if relative:
        several = {name: domain for name, domain in space.items() if not domain.single()}
        related = sampler.sample_relative(study, trial, several)
    return {
        name: related[name] if name in related else _alone(sampler, study, trial, name, domain)
        for name, domain in space.items()
    }


def derived_seed(*parts: object) -> int:
    """A seed, 0 to 2**32 - 1, that depends on the parts and on nothing else."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _alone(
    sampler: BaseSampler,
    study: Study,
    trial: FrozenTrial,
    name: str,
    domain: BaseDistribution,
) -> Any:
    if isinstance(domain, CategoricalDistribution) and domain.single():
        return domain.choices[0]  # a grid of one value
    return sampler.sample_independent(study, trial, name, domain)
