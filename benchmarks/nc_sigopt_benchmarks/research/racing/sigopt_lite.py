"""SigOpt's own in-memory optimizer as a competitor, where the package sigoptlite is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.racing.trial import Trial, choice_key
from nc_sigopt_benchmarks.research.racing.untried import untried_choice
from nc_sigopt_strategy.sampling.asking import derived_seed


class SigOptLite:
    """One experiment of the client's "lite" driver: latency minimized, accuracy constrained.

    The driver takes no seed: two runs differ. Its first suggestions, two for each parameter, are
    random.

    Args:
        landscape: What is searched.
        seed: Of the random configurations after repeats.
        trials: The budget.
    """

    def __init__(self, landscape: Landscape, seed: int, trials: int) -> None:
        from sigopt import Connection

        self._landscape, self._seed = landscape, seed
        connection = Connection(driver="lite")
        experiment = connection.experiments().create(
            name=landscape.name,
            parameters=[
                {"name": name, "type": "categorical", "categorical_values": list(values)}
                for name, values in landscape.parameters.items()
            ],
            metrics=[
                {"name": "latency", "objective": "minimize", "strategy": "optimize"},
                {
                    "name": "accuracy",
                    "objective": "maximize",
                    "strategy": "constraint",
                    "threshold": landscape.bound,
                },
            ],
            observation_budget=trials,
            parallel_bandwidth=1,
        )
        self._experiment: Any = connection.experiments(experiment.id)
        self._tried: set[bytes] = set()

    def suggest(self, history: Sequence[Trial]) -> Choices | None:
        """The driver's word; after a repeat a random untried configuration."""
        for trial in history[len(self._tried) :]:
            self._tried.add(trial.key)
            self._experiment.observations().create(
                assignments=self._landscape.assignments(trial.choice),
                values=[
                    {"name": "latency", "value": trial.look.latency},
                    {"name": "accuracy", "value": trial.look.accuracy},
                ],
            )
        # The same suggestion stays open until something is observed: there is no second try.
        suggestion = self._experiment.suggestions().create()
        choice = self._landscape.positions(dict(suggestion.assignments))
        if choice_key(choice) not in self._tried:
            return choice
        rng = np.random.default_rng(derived_seed(self._seed, len(history), "untried"))
        return untried_choice(self._landscape, self._tried, rng)
