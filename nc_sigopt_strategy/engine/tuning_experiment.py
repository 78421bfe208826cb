"""An experiment as a sampler that knows quantization sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

from nc_sigopt_strategy.engine.history.description import ExperimentDescription, Metric
from nc_sigopt_strategy.engine.history.point import OBSERVATION_ATTR
from nc_sigopt_strategy.results.paired_inputs import PairedInputs
from nc_sigopt_strategy.sampling import Reading, TuningExperiment
from nc_sigopt_strategy.sampling.probes import Probing
from nc_sigopt_strategy.settings.choices import EVEN_ODDS

# What two optimized metrics must be called to be taken for a front of models.
LATENCY, ACCURACY = "latency", "accuracy"
# The stored metric that holds output noise, and what the record calls what samplers use of it.
OUTPUT_NOISE = "output_noise"
OP_GRAPH, BASELINE_ACCURACY, PROBES = "op_graph", "baseline_accuracy", "probes"
BOUND_CONFIDENCE = "bound_confidence"


def tuning_experiment(
    experiment: ExperimentDescription, record: Mapping[str, Any] | None
) -> TuningExperiment | None:
    """What an experiment tells a sampler; ``None`` where it does not tune a model.

    Tuning has one metric to minimize and at most one more with a threshold, which bounds accuracy;
    or it optimizes two, latency and accuracy by name, without any threshold.
    """
    found = _latency_and_accuracy(experiment)
    if found is None:
        return None
    latency, accuracy = found

    def read(trial: FrozenTrial) -> Reading:
        observation = trial.user_attrs[OBSERVATION_ATTR]
        values = {value["name"]: value for value in observation["values"]}
        paired = PairedInputs.in_metadata(observation.get("metadata") or {})
        return Reading(
            latency=values[latency.name]["value"],
            latency_stderr=values[latency.name]["value_stddev"],
            accuracy=None if accuracy is None else values[accuracy.name]["value"],
            accuracy_stderr=None
            if accuracy is None
            else values[accuracy.name].get("value_stddev"),
            output_noise=values[OUTPUT_NOISE]["value"] if OUTPUT_NOISE in values else None,
            turned=None if paired is None else paired.turned,
        )

    known = record or {}
    probing = Probing.from_json(known.get(PROBES))
    return TuningExperiment(
        read=read,
        accuracy_threshold=None if accuracy is None else accuracy.threshold,
        maximize_accuracy=accuracy is None or accuracy.objective == "maximize",
        baseline_accuracy=known.get(BASELINE_ACCURACY),
        op_graph=known.get(OP_GRAPH),
        wants_front=accuracy is not None and accuracy.strategy == "optimize",
        probes=() if probing is None else probing.found,
        expected_noise_limit=None if probing is None else probing.noise_limit,
        bound_confidence=known.get(BOUND_CONFIDENCE, EVEN_ODDS),
    )


def _latency_and_accuracy(
    experiment: ExperimentDescription,
) -> tuple[Metric, Metric | None] | None:
    """The two metrics that matter; ``None`` where they are not those of tuning."""
    if len(experiment.optimized) == 2 and not experiment.limited:
        by_name = {metric.name: metric for metric in experiment.optimized}
        latency, accuracy = by_name.get(LATENCY), by_name.get(ACCURACY)
        if latency is None or accuracy is None or latency.objective != "minimize":
            return None
        return latency, accuracy
    bounds = [metric for metric in experiment.limited if metric.strategy == "constraint"]
    if len(experiment.optimized) != 1 or experiment.limited != tuple(bounds) or len(bounds) > 1:
        return None
    latency = experiment.optimized[0]
    if latency.objective != "minimize":
        return None
    return latency, bounds[0] if bounds else None
