"""What to suggest next: the sampler's word, kept apart from what was tried already."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import optuna
from optuna.samplers import BaseSampler, RandomSampler

from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.history.model import Experiment
from nc_sigopt_strategy.engine.tuning_experiment import tuning_experiment
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.sampling import make_sampler, read_constraints
from nc_sigopt_strategy.sampling.asking import RETRIES, ask, derived_seed
from nc_sigopt_strategy.sampling.registry import SearchSpace

_LOG = logging.getLogger(__name__)


def propose(
    experiment: Experiment,
    history: History,
    sampler_name: str,
    seed: int | None,
    race: int = 0,
    record: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Assignments for the next suggestion.

    They depend only on the seed, the experiment and its history, so that a process that starts
    again suggests what the one before would have. When every combination of a discrete space
    has been used, one is repeated.

    Args:
        experiment: Parameters, metrics and type; ``random`` and ``grid`` override the sampler.
        history: Its points so far.
        sampler_name: Sampler for experiments of type ``offline``.
        seed: The driver's seed; ``None`` draws new random numbers each time.
        race: How often another process with the same seed was faster. It changes the random
            numbers, or the two would go on choosing the same points.
        record: The document kept with the experiment.

    Raises:
        ApiError: 500, a grid experiment has no combination left (a server's answer, too).
        SettingsError: The grid sampler was chosen for a continuous parameter.
    """
    name = sampler_name if experiment.type == "offline" else experiment.type
    space, enumeration = history.space, history.enumeration
    if experiment.type == "grid" and enumeration and history.taken_count() >= enumeration.size:
        raise ApiError(500, f"No suggestion left: all {enumeration.size} grid points are used")

    number = len(history)
    tuning = tuning_experiment(experiment, record)
    study = history.study()
    assignments: dict[str, Any] = {}
    for attempt in range(1 + RETRIES):
        sampler = make_sampler(
            name,
            seed=_seed(seed, number, race, attempt),
            search_space=space,
            constraints_func=read_constraints if experiment.limited else None,
            experiment=tuning,
        )
        assignments = _ask(
            sampler, study, space, history.next_number, _seed(seed, number, race, attempt)
        )
        if not history.is_taken(assignments):
            return assignments
    if enumeration is None:
        return assignments
    ranks = history.taken_ranks()
    if len(ranks) >= enumeration.size:
        return assignments
    generator = random.Random(_seed(seed, number, race, RETRIES + 1))
    return enumeration.unrank(_untried(ranks, enumeration.size, generator))


def _ask(
    sampler: BaseSampler, study: optuna.Study, space: SearchSpace, number: int, seed: int | None
) -> dict[str, Any]:
    """The sampler's word; a random one where its arithmetic fails, as on a SigOpt server."""
    try:
        # Values near the limits of a double make its arithmetic warn on the user's terminal.
        with numpy.errstate(all="ignore"):
            return ask(sampler, study, space, number)
    except SettingsError:
        raise
    except (ArithmeticError, ValueError) as error:
        # Metrics may have any values, and an experiment must not end because a sampler cannot
        # compute with them.
        _LOG.warning("The sampler failed, so the suggestion is a random one: %s", error)
        return ask(RandomSampler(seed=seed), study, space, number)


def _seed(seed: int | None, number: int, race: int, attempt: int) -> int | None:
    """A seed of its own for each suggestion, so that no generator's state must be kept."""
    if seed is None:
        return None
    return derived_seed(seed, number, race, attempt)


def _untried(ranks: Sequence[int], size: int, generator: random.Random) -> int:
    """A uniformly drawn number below ``size`` that is not in the sorted ``ranks``."""
    drawn = generator.randrange(size - len(ranks))
    for rank in ranks:
        if rank > drawn:
            break
        drawn += 1
    return drawn
