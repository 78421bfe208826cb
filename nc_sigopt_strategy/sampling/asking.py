"""Asking a sampler for a suggestion before its trial is stored."""

from __future__ import annotations

import hashlib
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nc_sigopt_strategy.sampling.registry import SearchSpace
from nc_sigopt_strategy.sampling.snapshot import snapshot_study

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
    """A value for every parameter of a trial that the study does not have yet.

    The sampler sees a study of its own, where that trial is running: samplers write to the trial
    that they are asked for, as Optuna lets them, and look it up. Nothing of that is kept, and the
    study that was given stays as it is.

    Args:
        sampler: Whom to ask.
        study: Its history.
        space: Parameter name to distribution.
        number: The trial's number in the study, once it is made.
        relative: Whether parameters are asked for all at once first, or one by one only.
    """
    directions = [direction.name for direction in study.directions]
    trials = study.get_trials(deepcopy=False)
    asked = snapshot_study(study.study_name, directions, trials, number)
    trial = asked.get_trials(deepcopy=False)[-1]
    related: dict[str, Any] = {}
    if relative:
        several = {name: domain for name, domain in space.items() if not domain.single()}
        related = sampler.sample_relative(asked, trial, several)
    return {
        name: related[name] if name in related else _alone(sampler, asked, trial, name, domain)
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
