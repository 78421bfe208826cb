"""Sampler names and what each one builds."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.sampling.conventions import Constraints
from nc_sigopt_strategy.sampling.grid import GridSampler

# Observed trials before TPE takes over from random sampling. The strategy's seven seeded
# configurations count, and are a better start than random ones: in a space of dozens of ops a
# random configuration is nearly always both slow and inaccurate, and a trial costs seconds.
TPE_STARTUP_TRIALS = 7

SearchSpace = Mapping[str, BaseDistribution]
Builder = Callable[[int | None, SearchSpace, Constraints | None], BaseSampler]


def _tpe(
    seed: int | None, search_space: SearchSpace, constraints: Constraints | None
) -> TPESampler:
    # No constant_liar: it writes into the trial being sampled, and the engine samples before the
    # trial exists so that a suggestion costs one transaction. The engine keeps open suggestions
    # apart by comparing assignments.
    with warnings.catch_warnings():
        # ``multivariate`` and ``constraints_func`` are marked experimental in Optuna 4. The user
        # did not choose them and can do nothing about it.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            seed=seed,
            multivariate=True,
            n_startup_trials=TPE_STARTUP_TRIALS,
            constraints_func=constraints,
        )


def _random(
    seed: int | None, search_space: SearchSpace, constraints: Constraints | None
) -> RandomSampler:
    return RandomSampler(seed=seed)


def _grid(
    seed: int | None, search_space: SearchSpace, constraints: Constraints | None
) -> GridSampler:
    return GridSampler(search_space)


_BUILDERS: dict[str, Builder] = {"tpe": _tpe, "random": _random, "grid": _grid}

SAMPLER_NAMES: tuple[str, ...] = tuple(_BUILDERS)


def check_sampler_name(name: str) -> None:
    """Check that a sampler of this name exists.

    Raises:
        SettingsError: It does not; the message lists the names and the nearest one.
    """
    if name in _BUILDERS:
        return
    nearest = difflib.get_close_matches(str(name).lower(), SAMPLER_NAMES, n=1, cutoff=0.4)
    guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise SettingsError(
        f"There is no sampler {name!r}.", f"Choose one of {', '.join(SAMPLER_NAMES)}.{guess}"
    )


def make_sampler(
    name: str,
    *,
    seed: int | None,
    search_space: SearchSpace,
    constraints_func: Constraints | None,
) -> BaseSampler:
    """Build a sampler.

    Args:
        name: One of ``SAMPLER_NAMES``.
        seed: Seed of its random numbers, 0 to 2**32 - 1; ``None`` draws one.
        search_space: Parameter name to distribution, for samplers that must know it beforehand.
        constraints_func: Tells which trials violate what; ``None`` without constraints.

    Raises:
        SettingsError: No sampler has this name, or it cannot handle the search space.
    """
    check_sampler_name(name)
    return _BUILDERS[name](seed, search_space, constraints_func)
