"""An experiment as the engine holds it: parameters, metrics and what follows from them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request

# Raised when the stored form of an experiment changes; a store written by a later version of
# this package is refused instead of being misread. The second has AI experiments, the third
# parameters whose values were changed; only those are written in them, so that earlier versions
# read all others.
FORMAT_VERSIONS = (1, 2, 3)


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: ``None`` for the single unnamed metric of an experiment made without ``metrics``.
        objective: ``maximize`` or ``minimize``.
        strategy: ``optimize``, ``store`` or ``constraint``.
        threshold: The value to reach, in the metric's units; equality counts as reached.
    """

    name: str | None
    objective: str
    strategy: str
    threshold: float | None

    def violation(self, value: float) -> float:
        """How far ``value`` is beyond the threshold: above zero means violated."""
        if self.threshold is None:
            return 0.0
        excess = self.threshold - value if self.objective == "maximize" else value - self.threshold
        return min(max(excess, -sys.float_info.max), sys.float_info.max)


@dataclass(frozen=True)
class ParameterDomain:
    """One parameter; ``type`` is ``double``, ``int`` or ``categorical``.

    Attributes:
        low: Lower bound, inclusive; ``None`` for categorical and grid parameters.
        high: Upper bound, inclusive.
        log: Whether a double is searched on a logarithmic scale.
        categories: Values of a categorical parameter, in the order given.
        grid: The only values allowed for a numeric parameter, ascending.
        default_value: Only echoed.
        coded: All values that a categorical or gridded parameter has ever had, each at the place
            by which the store's tables name it; empty where those are the present ones.
    """

    name: str
    type: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    categories: tuple[str, ...] = ()
    grid: tuple[float, ...] = ()
    default_value: Any = None
    coded: tuple[Any, ...] = ()

    @property
    def values(self) -> tuple[Any, ...]:
        """The only values allowed, in the parameter's own type; empty where bounds say them."""
        return self.categories or tuple(self._number(value) for value in self.grid)

    @property
    def codes(self) -> tuple[Any, ...]:
        """The values that the store's tables name by their places here."""
        return self.coded or self.values

    def distribution(self) -> BaseDistribution:
        """The same domain in Optuna's terms."""
        if self.values:
            return CategoricalDistribution(self.values)
        low, high = self.low or 0.0, self.high or 0.0
        if self.type == "int":
            return IntDistribution(int(low), int(high))
        return FloatDistribution(low, high, log=self.log)

    def coding(self) -> BaseDistribution:
        """How the store's tables hold its values, those of former times included."""
        return CategoricalDistribution(self.codes) if self.coded else self.distribution()

    def check(self, value: Any) -> Any:
        """The value in the parameter's own type.

        Raises:
            ApiError: 400, the value is not in the parameter's domain.
        """
        what = f"assignments.{self.name}"
        if self.type == "categorical":
            if value not in self.categories or not isinstance(value, str):
                raise bad_request(
                    f"Invalid value for {what}: {validation.show(value)}, must be one of "
                    f"{', '.join(self.categories)}"
                )
            return value
        if self.type == "int":
            validation.integer(value, what)
        checked = self._number(validation.number(value, what))
        if self.grid and checked not in self.grid:
            raise bad_request(
                f"Invalid value for {what}: {validation.show(value)} is not on the grid "
                f"{', '.join(map(str, self.grid))}"
            )
        if not self.holds(checked):
            raise bad_request(
                f"Invalid value for {what}: {validation.show(value)} is outside of {self.low} "
                f"to {self.high}"
            )
        return checked

    def holds(self, value: Any) -> bool:
        """Whether a value that the parameter has or had is one that it has now."""
        if self.low is None or self.high is None:
            return value in self.values
        return bool(self.low <= value <= self.high)

    def _number(self, value: float) -> float | int:
        return int(value) if self.type == "int" else float(value)


@dataclass(frozen=True)
class ExperimentDescription:
    """One experiment, without its observations. Metrics and parameters are sorted by name.

    ``runs_only`` makes it an AI experiment: its observations come from runs.
    """

    name: str
    type: str
    state: str
    created: int
    updated: int
    metrics: tuple[Metric, ...]
    parameters: tuple[ParameterDomain, ...]
    project: str | None = None
    metadata: Mapping[str, Any] | None = None
    observation_budget: int | None = None
    parallel_bandwidth: int | None = None
    num_solutions: int | None = None
    runs_only: bool = False

    @property
    def optimized(self) -> tuple[Metric, ...]:
        """The metrics with strategy ``optimize``."""
        return tuple(metric for metric in self.metrics if metric.strategy == "optimize")

    @property
    def limited(self) -> tuple[Metric, ...]:
        """The metrics with a threshold."""
        return tuple(metric for metric in self.metrics if metric.threshold is not None)

    @property
    def directions(self) -> list[str]:
        """Directions of the Optuna objectives, one per element of ``objectives``.

        Optuna needs an objective even where all metrics are constraints; then it is the sum of
        the violations.
        """
        return [metric.objective for metric in self.optimized] or ["minimize"]

    def objectives(self, values: Mapping[str | None, float]) -> list[float]:
        """Optuna's objective values of an observation, from metric name to value."""
        if self.optimized:
            return [values[metric.name] for metric in self.optimized]
        total = sum(max(0.0, violation) for violation in self.violations(values))
        return [min(total, sys.float_info.max)]

    def violations(self, values: Mapping[str | None, float]) -> list[float]:
        """One number per metric with a threshold; above zero means violated."""
        return [metric.violation(values[metric.name]) for metric in self.limited]

    def search_space(self) -> dict[str, BaseDistribution]:
        """Parameter name to Optuna distribution, sorted by name."""
        return {parameter.name: parameter.distribution() for parameter in self.parameters}

    def coding(self) -> dict[str, BaseDistribution]:
        """Parameter name to how the store's tables hold its values, sorted by name."""
        return {parameter.name: parameter.coding() for parameter in self.parameters}

    def check_assignments(self, value: Any) -> dict[str, Any]:
        """Assignments that name every parameter with a value of its domain.

        Raises:
            ApiError: 400, with the parameter at fault.
        """
        given = validation.object_(value, "assignments")
        names = [parameter.name for parameter in self.parameters]
        missing = [name for name in names if given.get(name) is None]
        unknown = sorted(given.keys() - set(names))
        if missing:
            raise bad_request(f"Missing parameters in assignments: {', '.join(missing)}")
        if unknown:
            named = ", ".join(
                name if len(name) <= 100 else validation.show(name) for name in unknown[:10]
            )
            raise bad_request(f"Unknown parameters in assignments: {named}")
        return {
            parameter.name: parameter.check(given[parameter.name]) for parameter in self.parameters
        }

    def to_stored(self) -> dict[str, Any]:
        """A JSON object that ``from_stored`` reads back."""
        kept = dataclasses.asdict(self)
        if not self.runs_only:
            del kept["runs_only"]
        recoded = any(parameter.coded for parameter in self.parameters)
        for parameter in kept["parameters"]:
            if not parameter["coded"]:
                del parameter["coded"]
        return {"format": FORMAT_VERSIONS[2 if recoded else self.runs_only], **kept}

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> ExperimentDescription:
        """The inverse of ``to_stored``."""
        fields = {key: value for key, value in stored.items() if key != "format"}
        fields["metrics"] = tuple(Metric(**metric) for metric in stored["metrics"])
        fields["parameters"] = tuple(_parameter(raw) for raw in stored["parameters"])
        return cls(**fields)


def _parameter(raw: Mapping[str, Any]) -> ParameterDomain:
    lists: Mapping[str, Sequence[Any]] = {key: raw.get(key, ()) for key in _LISTS}
    return ParameterDomain(**{**raw, **{key: tuple(values) for key, values in lists.items()}})


_LISTS = ("categories", "grid", "coded")
