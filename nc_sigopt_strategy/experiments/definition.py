"""What a new experiment is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nc_sigopt_strategy.experiments.record import ExperimentRecord
from nc_sigopt_strategy.results.metric_names import ACCURACY, DURATION, LATENCY, OUTPUT_NOISE, OWN


@dataclass(frozen=True)
class Definition:
    """What a new experiment is made of.

    Attributes:
        name: Experiment name.
        project_id: Project id, or ``None``.
        parameters: Parameter name to its values.
        accuracy_threshold: Value that the accuracy constraint must meet; ``None``: accuracy is
            optimized as latency is.
        maximize_accuracy: Direction of the accuracy metric.
        stores_noise: Whether output noise is among the stored metrics.
        observation_budget: INC's ``max_trials``.
        record: Kept with the experiment.
        stored_metrics: Names of the user's own metrics.
        parallel_bandwidth: How many workers will ask at the same time.
        metadata: Kept with the experiment: at most 100 short strings or numbers.
    """

    name: str
    project_id: str | None
    parameters: Mapping[str, Sequence[str]]
    accuracy_threshold: float | None
    maximize_accuracy: bool
    stores_noise: bool
    observation_budget: int
    record: ExperimentRecord = field(default_factory=ExperimentRecord)
    stored_metrics: tuple[str, ...] = ()
    parallel_bandwidth: int = 1
    metadata: Mapping[str, str | float] = field(default_factory=dict)

    def to_request(self) -> dict[str, Any]:
        """The body of SigOpt's experiment create."""
        accuracy: dict[str, Any] = {
            "name": ACCURACY,
            "objective": "maximize" if self.maximize_accuracy else "minimize",
            "strategy": "optimize",
        }
        if self.accuracy_threshold is not None:
            accuracy.update(strategy="constraint", threshold=self.accuracy_threshold)
        metrics: list[dict[str, Any]] = [
            accuracy,
            {"name": LATENCY, "objective": "minimize", "strategy": "optimize"},
            {"name": DURATION, "objective": "minimize", "strategy": "store"},
        ]
        if self.stores_noise:
            metrics.append({"name": OUTPUT_NOISE, "objective": "minimize", "strategy": "store"})
        metrics += [{"name": name, "strategy": "store"} for name in self.stored_metrics]
        request: dict[str, Any] = {
            "name": self.name,
            "parameters": [
                {
                    "name": name,
                    "type": "categorical",
                    "categorical_values": [{"name": value} for value in values],
                }
                for name, values in self.parameters.items()
            ],
            "metrics": metrics,
            "observation_budget": self.observation_budget,
            "parallel_bandwidth": self.parallel_bandwidth,
        }
        if self.project_id is not None:
            request["project"] = self.project_id
        if self.metadata:
            request["metadata"] = dict(self.metadata)
        return request

    @classmethod
    def of_document(cls, document: Any, record: ExperimentRecord) -> Definition:
        """What an experiment was made of, to make a copy of it elsewhere.

        Args:
            document: The experiment as the client returned it.
            record: What is kept with it.
        """
        accuracy = next(metric for metric in document.metrics if metric.name == ACCURACY)
        names = [metric.name for metric in document.metrics]
        return cls(
            name=document.name,
            project_id=document.project,
            parameters={
                p.name: tuple(v.name for v in p.categorical_values) for p in document.parameters
            },
            accuracy_threshold=accuracy.threshold,
            maximize_accuracy=accuracy.objective == "maximize",
            stores_noise=OUTPUT_NOISE in names,
            observation_budget=document.observation_budget,
            record=record,
            stored_metrics=tuple(name for name in names if name not in OWN),
            parallel_bandwidth=document.parallel_bandwidth or 1,
        )
