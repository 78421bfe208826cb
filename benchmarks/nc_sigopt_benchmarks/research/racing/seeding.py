"""The configurations that competitors start from: those of the strategy itself."""

from __future__ import annotations

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.racing.records import trial_record
from nc_sigopt_benchmarks.research.racing.trial import Trial
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.space.assignments import assignments_key
from nc_sigopt_strategy.space.search_space import Parameter
from nc_sigopt_strategy.tuning.first_suggestions import InitialSuggestions


class Seeding:
    """Asks ``InitialSuggestions`` until they are through.

    Args:
        landscape: Its parameters count as ops, one each.
        probed: Whether probes have told what some of them would.
    """

    def __init__(self, landscape: Landscape, *, probed: bool = False) -> None:
        parameters = [
            Parameter(name, ((name, ""),), values) for name, values in landscape.parameters.items()
        ]
        default = landscape.assignments(landscape.default)
        self._landscape = landscape
        self._suggestions = InitialSuggestions(parameters, default, probed=probed)
        self._observed: dict[tuple[tuple[str, str], ...], TrialRecord] = {}

    def next(self) -> Choices | None:
        """Value positions of shape (parameters,), or ``None`` when the competitor takes over."""
        suggestion = self._suggestions.next(self._observed)
        return None if suggestion is None else self._landscape.positions(suggestion[1])

    def tell(self, trial: Trial) -> None:
        """A suggestion was measured."""
        record = trial_record(trial, self._landscape.assignments(trial.choice))
        self._observed[assignments_key(record.assignments)] = record
