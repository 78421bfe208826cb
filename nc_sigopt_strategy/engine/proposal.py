"""What to suggest next: the sampler's word, kept apart from what was tried already."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from typing import Any

import numpy
import optuna
from optuna.samplers import BaseSampler, RandomSampler

from nc_sigopt_strategy.engine.history.description import ExperimentDescription
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.tuning_experiment import tuning_experiment
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.sampling import make_sampler, read_constraints
from nc_sigopt_strategy.sampling.asking import RETRIES, ask, derived_seed
from nc_sigopt_strategy.sampling.registry import SearchSpace

_LOG = logging.getLogger(__name__)


class Proposer:
    """Names the next assignments.

    They depend only on the seed, the experiment and its history, so that a process that starts
    again suggests what the one before would have. When every combination of a discrete space
    has been used, one is repeated.

    Args:
        sampler: Name of the sampler for experiments of type ``offline``.
        seed: ``None`` draws new random numbers each time.
    """

    def __init__(self, sampler: str, seed: int | None) -> None:
        self._sampler = sampler
        self._seed = seed

    def propose(
        self,
        experiment: ExperimentDescription,
        history: History,
        race: int = 0,
        record: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Assignments for the next suggestion.

        Args:
            experiment: Parameters, metrics and type; ``random`` and ``grid`` override the sampler.
            history: Its points so far.
            race: How often another process with the same seed was faster. It changes the random
                numbers, or the two would go on choosing the same points.
            record: The document kept with the experiment.

        Raises:
            SettingsError: The grid sampler was chosen for a continuous parameter.
        """
        name = self._sampler if experiment.type == "offline" else experiment.type
        space = history.space
        number = len(history)
        tuning = tuning_experiment(experiment, record)
        study = history.study()
        assignments: dict[str, Any] = {}
        for attempt in range(1 + RETRIES):
            seed = self._seed_of(number, race, attempt)
            sampler = make_sampler(
                name,
                seed=seed,
                search_space=space,
                constraints_func=read_constraints if experiment.limited else None,
                experiment=tuning,
            )
            assignments = _ask(sampler, study, space, history.next_number, seed)
            if not history.is_taken(assignments):
                return assignments
        seed = self._seed_of(number, race, RETRIES + 1)
        return _untried(history, random.Random(seed)) or assignments

    def _seed_of(self, number: int, race: int, attempt: int) -> int | None:
        """A seed of its own for each suggestion, so that no generator's state must be kept."""
        return None if self._seed is None else derived_seed(self._seed, number, race, attempt)


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


def _untried(history: History, generator: random.Random) -> dict[str, Any] | None:
    """Assignments that nobody has used, drawn evenly; ``None`` where none is to be had."""
    enumeration = history.enumeration
    if enumeration is None:
        return None
    ranks = history.taken_ranks()
    if len(ranks) >= enumeration.size:
        return None
    drawn = generator.randrange(enumeration.size - len(ranks))
    for rank in ranks:
        if rank > drawn:
            break
        drawn += 1
    return enumeration.unrank(drawn)
