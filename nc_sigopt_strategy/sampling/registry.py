"""Sampler names and what each one builds."""

from __future__ import annotations

import difflib
import importlib.util
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from nc_sigopt_strategy.errors import MissingExtraError, SettingsError
from nc_sigopt_strategy.sampling.conventions import Constraints, TuningExperiment
from nc_sigopt_strategy.sampling.grid import GridSampler
from nc_sigopt_strategy.sampling.quantization import (
    QuantizationSampler,
    categories,
    is_quantization,
)

# Observed trials before TPE or GP take over from random sampling. The strategy's seeded
# configurations count, and are a better start than random ones: in a space of dozens of ops a
# random configuration is nearly always both slow and inaccurate, and a trial costs seconds.
STARTUP_TRIALS = 7

SearchSpace = Mapping[str, BaseDistribution]
Builder = Callable[
    [int | None, SearchSpace, Constraints | None, TuningExperiment | None], BaseSampler
]


def told_constraints(constraints: Constraints | None) -> dict[str, Any]:
    """How one of Optuna's samplers is told that there are constraints: arguments for it.

    Optuna 5 finds them with the trials, under ``CONSTRAINTS_ATTR``, and warns whoever tells it.

    Args:
        constraints: As ``make_sampler`` takes them.
    """
    finds_them = hasattr(FrozenTrial, "constraints")
    return {} if constraints is None or finds_them else {"constraints_func": constraints}


def _tpe(
    seed: int | None,
    search_space: SearchSpace,
    constraints: Constraints | None,
    experiment: TuningExperiment | None,
) -> TPESampler:
    with warnings.catch_warnings():
        # ``multivariate`` and ``constraints_func`` are marked experimental in Optuna 4. The user
        # did not choose them and can do nothing about it.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            seed=seed,
            multivariate=True,
            n_startup_trials=STARTUP_TRIALS,
            # Open suggestions are kept apart by comparing assignments, with every sampler.
            constant_liar=False,
            **told_constraints(constraints),
        )


def _gp(
    seed: int | None,
    search_space: SearchSpace,
    constraints: Constraints | None,
    experiment: TuningExperiment | None,
) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return GPSampler(
            seed=seed, n_startup_trials=STARTUP_TRIALS, **told_constraints(constraints)
        )


def _random(
    seed: int | None,
    search_space: SearchSpace,
    constraints: Constraints | None,
    experiment: TuningExperiment | None,
) -> RandomSampler:
    return RandomSampler(seed=seed)


def _grid(
    seed: int | None,
    search_space: SearchSpace,
    constraints: Constraints | None,
    experiment: TuningExperiment | None,
) -> GridSampler:
    return GridSampler(search_space)


def _quantization(
    seed: int | None,
    search_space: SearchSpace,
    constraints: Constraints | None,
    experiment: TuningExperiment | None,
) -> BaseSampler:
    # Any SigOpt program may use the engine: what is no tuning of types gets a general sampler.
    if experiment is None or not is_quantization(search_space):
        return _tpe(seed, search_space, constraints, experiment)
    return QuantizationSampler(categories(search_space), experiment, seed)


_BUILDERS: dict[str, Builder] = {
    "quantization": _quantization,
    "tpe": _tpe,
    "gp": _gp,
    "random": _random,
    "grid": _grid,
}

SAMPLER_NAMES: tuple[str, ...] = tuple(_BUILDERS)
DEFAULT_SAMPLER = "quantization"
# Packages that a sampler needs and that no extra of this package installs.
_NEEDED = {"gp": ("torch", "scipy")}


def available_samplers() -> tuple[str, ...]:
    """The samplers whose packages are installed."""
    return tuple(name for name in SAMPLER_NAMES if not _missing(name))


def check_sampler_name(name: str) -> None:
    """Check that a sampler of this name exists and can be built here.

    Raises:
        SettingsError: It does not; the message lists the names and the nearest one.
        MissingExtraError: It needs packages that are not installed.
    """
    if name in _BUILDERS:
        if missing := _missing(name):
            raise MissingExtraError(
                f"The sampler {name!r} needs {' and '.join(missing)}, which is not installed.",
                f"Install it with: pip install {' '.join(missing)}, or choose another sampler.",
            )
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
    experiment: TuningExperiment | None = None,
) -> BaseSampler:
    """Build a sampler.

    Args:
        name: One of ``SAMPLER_NAMES``.
        seed: Seed of its random numbers, 0 to 2**32 - 1; ``None`` draws one.
        search_space: Parameter name to distribution, for samplers that must know it beforehand.
        constraints_func: Tells which trials violate what, and no other than ``CONSTRAINTS_ATTR``
            of the trials does; ``None`` without constraints.
        experiment: What the experiment tells of itself, for samplers that use it; ``None`` where
            it is not one of tuning.

    Raises:
        SettingsError: No sampler has this name, or it cannot handle the search space.
        MissingExtraError: It needs packages that are not installed.
    """
    check_sampler_name(name)
    return _BUILDERS[name](seed, search_space, constraints_func, experiment)


def _missing(name: str) -> list[str]:
    return [needed for needed in _NEEDED.get(name, ()) if not importlib.util.find_spec(needed)]
