"""Experiments like the strategy's, of any size, whose values are computed and not measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.networks import Network, residual
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.record import ExperimentRecord
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.space.search_space import Parameter
from nc_sigopt_strategy.tuning.first_suggestions import InitialSuggestions

VALUES = ("int8", "bf16", "fp32")
BASELINE, BOUND = 0.76, 0.75
# Blocks per stage of a residual network -> its number of ops.
_STAGES = {30: (2, 2, 2, 2), 60: (3, 4, 8, 3)}
_BATCH = 100


class Workload:
    """A residual network whose latency and noise are sums over its ops.

    Args:
        parameters: Ops: 30 or 60.

    Raises:
        SettingsError: There is no such network.
    """

    def __init__(self, parameters: int) -> None:
        if parameters not in _STAGES:
            raise SettingsError(
                f"There is no network of {parameters} ops.",
                f"Choose from {', '.join(map(str, _STAGES))}.",
            )
        self._network: Network = residual(_STAGES[parameters])
        self.names = tuple(op.name for op in self._network.ops)
        rng = np.random.default_rng(parameters)
        work = np.sqrt([op.multiply_adds for op in self._network.ops])
        shares = work / work.sum()
        # int8 takes a third to a half of FP32's time and makes nearly all of the noise.
        self._latency = shares[:, None] * np.c_[rng.uniform(0.3, 0.5, len(work)), 0.6 * np.ones(
            len(work)), np.ones(len(work))]  # fmt: skip
        int8 = rng.lognormal(-6.0, 1.5, len(work))
        self._noise = np.c_[int8, int8 / 30, 1e-9 * np.ones(len(work))]

    @property
    def default(self) -> dict[str, str]:
        """Assignments of the default int8 configuration."""
        return dict.fromkeys(self.names, VALUES[0])

    def seeds(self) -> InitialSuggestions:
        """The strategy's first suggestions."""
        parameters = [Parameter(name, ((name, ""),), VALUES) for name in self.names]
        return InitialSuggestions(parameters, self.default)

    def definition(self, budget: int, workers: int = 1) -> Definition:
        """What the strategy would make of it."""
        return Definition(
            name=f"benchmark of {len(self.names)} ops",
            project_id=None,
            parameters={name: list(VALUES) for name in self.names},
            accuracy_threshold=BOUND,
            maximize_accuracy=True,
            stores_noise=True,
            observation_budget=budget,
            parallel_bandwidth=workers,
            record=ExperimentRecord(op_graph=self._network.op_graph(), baseline_accuracy=BASELINE),
        )

    def record(self, number: int, assignments: Mapping[str, str], origin: str) -> TrialRecord:
        """What a trial of these assignments finds; the same whenever it is asked."""
        latency, accuracy, noise = self._look(assignments)
        return TrialRecord(
            number=number,
            state=TrialState.OBSERVED,
            origin=origin,
            assignments=dict(assignments),
            accuracy=accuracy,
            meets_bound=accuracy >= BOUND,
            latency_seconds=latency,
            latency_stddev=0.02 * latency,
            latency_ratio=1.0,
            output_noise=noise,
            duration_seconds=1.0,
        )

    def values(self, assignments: Mapping[str, str]) -> list[dict[str, Any]]:
        """The same as the values of an observation."""
        latency, accuracy, noise = self._look(assignments)
        return [
            {"name": "accuracy", "value": accuracy},
            {"name": "latency", "value": latency, "value_stddev": 0.02 * latency},
            {"name": "duration", "value": 1.0},
            {"name": "output_noise", "value": noise},
        ]

    def batches(self, count: int, seed: int = 0) -> Iterator[list[dict[str, Any]]]:
        """Bodies of ``observations`` of random assignments, ``count`` in all, in batches."""
        rng = np.random.default_rng(seed)
        for start in range(0, count, _BATCH):
            rows = rng.integers(len(VALUES), size=(min(_BATCH, count - start), len(self.names)))
            drawn = [
                {name: VALUES[v] for name, v in zip(self.names, row, strict=True)} for row in rows
            ]
            yield [{"assignments": a, "values": self.values(a)} for a in drawn]

    def _look(self, assignments: Mapping[str, str]) -> tuple[float, float, float]:
        choice = np.array([VALUES.index(assignments[name]) for name in self.names])
        rows = np.arange(len(choice))
        error = np.random.default_rng([7, *choice]).normal(0.0, 0.02, 2)
        latency = 0.01 * float(self._latency[rows, choice].sum() * np.exp(error[0]))
        noise = float(self._noise[rows, choice].sum() * np.exp(error[1]))
        accuracy = BASELINE * float(np.exp(-noise / 3))
        return latency, round(accuracy * 5000) / 5000, noise
