"""All combinations of a finite search space, numbered without ever being listed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution


class Enumeration:
    """Numbers the Cartesian product of discrete parameters from 0 to ``size - 1``.

    The last parameter (in the order of ``search_space``) changes fastest. Only arithmetic is
    used, so a product of any size costs nothing to hold.

    Args:
        search_space: Parameter name to distribution; see ``is_finite``.

    Raises:
        ValueError: A parameter is continuous.
    """

    def __init__(self, search_space: Mapping[str, BaseDistribution]) -> None:
        self._options: dict[str, _Options] = {}
        self.size = 1
        for name, distribution in search_space.items():
            options = _options(distribution)
            if options is None:
                raise ValueError(f"Parameter {name} is continuous and cannot be enumerated.")
            self._options[name] = options
            self.size *= options.count

    @staticmethod
    def is_finite(search_space: Mapping[str, BaseDistribution]) -> bool:
        """Whether every parameter is categorical or an integer."""
        return all(_options(distribution) is not None for distribution in search_space.values())

    def rank(self, params: Mapping[str, Any]) -> int:
        """The number of a combination; the inverse of ``unrank``."""
        rank = 0
        for name, options in self._options.items():
            rank = rank * options.count + options.position(params[name])
        return rank

    def unrank(self, rank: int) -> dict[str, Any]:
        """The combination with this number, parameters in the order of the search space."""
        positions: list[int] = []
        for options in reversed(self._options.values()):
            rank, position = divmod(rank, options.count)
            positions.append(position)
        return {
            name: options.value(position)
            for (name, options), position in zip(
                self._options.items(), reversed(positions), strict=True
            )
        }


class _Options(ABC):
    """The values of one parameter, by position."""

    def __init__(self, count: int) -> None:
        self.count = count

    @abstractmethod
    def position(self, value: Any) -> int:
        """Where a value stands."""

    @abstractmethod
    def value(self, position: int) -> Any:
        """What stands at a position."""


class _Choices(_Options):
    def __init__(self, distribution: CategoricalDistribution) -> None:
        super().__init__(len(distribution.choices))
        self._distribution = distribution

    def position(self, value: Any) -> int:
        return int(self._distribution.to_internal_repr(value))

    def value(self, position: int) -> Any:
        return self._distribution.choices[position]


class _Integers(_Options):
    def __init__(self, distribution: IntDistribution) -> None:
        self._low, self._step = distribution.low, distribution.step
        super().__init__((distribution.high - distribution.low) // distribution.step + 1)

    def position(self, value: Any) -> int:
        return (int(value) - self._low) // self._step

    def value(self, position: int) -> Any:
        return self._low + position * self._step


def _options(distribution: BaseDistribution) -> _Options | None:
    if isinstance(distribution, CategoricalDistribution):
        return _Choices(distribution)
    if isinstance(distribution, IntDistribution):
        return _Integers(distribution)
    return None
