"""A sampler that walks the Cartesian product of the search space in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.sampling.conventions import WITHDRAWN_ATTR
from nc_sigopt_strategy.sampling.enumeration import Enumeration


class GridSampler(BaseSampler):
    """Suggests the first combination that no trial has used.

    Optuna's own grid sampler lists the whole product first, which millions of combinations do
    not allow. When all are used, it starts over from the first.

    Args:
        search_space: Parameter name to distribution, all discrete. The first one changes fastest,
            as in a grid experiment of SigOpt's server.

    Raises:
        SettingsError: A parameter is continuous.
    """

    def __init__(self, search_space: Mapping[str, BaseDistribution]) -> None:
        try:
            self._enumeration = Enumeration(dict(reversed(list(search_space.items()))))
        except ValueError as error:
            raise SettingsError(
                str(error), "Give the parameter a grid of values or choose another sampler."
            ) from error
        self._search_space = dict(search_space)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The search space given at construction."""
        return self._search_space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next combination, for all parameters."""
        names = self._search_space.keys()
        used = [
            self._enumeration.rank(other.params)
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number
            and WITHDRAWN_ATTR not in other.user_attrs
            and names <= other.params.keys()
        ]
        size = self._enumeration.size
        taken = set(used)
        if len(taken) >= size:
            return self._enumeration.unrank(len(used) % size)
        rank = next(rank for rank in range(len(taken) + 1) if rank not in taken)
        return self._enumeration.unrank(rank)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Only reached for a parameter that the grid was not made for.

        Raises:
            SettingsError: Always.
        """
        raise SettingsError(f"The grid was made without the parameter {param_name}.")
