"""What to suggest next: the sampler's word, kept apart from what was tried already."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from nc_sigopt_strategy.embedded.api_error import ApiError
from nc_sigopt_strategy.embedded.model import Experiment
from nc_sigopt_strategy.embedded.store import Point
from nc_sigopt_strategy.embedded.tuning_experiment import tuning_experiment
from nc_sigopt_strategy.sampling import Enumeration, make_sampler, read_constraints
from nc_sigopt_strategy.sampling.asking import RETRIES, ask, derived_seed
from nc_sigopt_strategy.sampling.registry import SearchSpace


def propose(
    experiment: Experiment,
    study: optuna.Study,
    points: Sequence[Point],
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
        study: Its Optuna study.
        points: Its points so far.
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
    space = experiment.search_space()
    enumeration = Enumeration(space) if Enumeration.is_finite(space) else None
    used = [point.assignments for point in points if not point.withdrawn]
    taken = {_key(space, assignments) for assignments in used}
    if experiment.type == "grid" and enumeration and len(taken) >= enumeration.size:
        raise ApiError(500, f"No suggestion left: all {enumeration.size} grid points are used")

    tuning = tuning_experiment(experiment, record)
    assignments: dict[str, Any] = {}
    for attempt in range(1 + RETRIES):
        sampler = make_sampler(
            name,
            seed=_seed(seed, len(points), race, attempt),
            search_space=space,
            constraints_func=read_constraints if experiment.limited else None,
            experiment=tuning,
        )
        assignments = ask(sampler, study, space, len(points))
        if _key(space, assignments) not in taken:
            return assignments
    if enumeration is None or len(taken) >= enumeration.size:
        return assignments
    ranks = sorted({enumeration.rank(assignments) for assignments in used})
    generator = random.Random(_seed(seed, len(points), race, RETRIES + 1))
    return enumeration.unrank(_untried(ranks, enumeration.size, generator))


def _key(space: SearchSpace, assignments: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(assignments[name] for name in space)


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
