"""What has to be the same for an experiment to be continued."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.experiments.documents import METADATA_STRING
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.settings.choices import CONSTRAINT
from nc_sigopt_strategy.settings.session_options import that_change_something


@dataclass(frozen=True)
class Measuring:
    """What models are measured on, and how.

    Attributes:
        batches: The calibration batches that latency and output noise are measured on.
        timed_inputs: How many inputs of the first batch are timed, or sizes to their weights;
            ``None`` for all.
        latency: How latency is measured, in words.
        session_options: ONNX Runtime's, if the user chose any.
        openvino_properties: What OpenVINO models are compiled with, if the user chose any.
    """

    batches: Sequence[Any]
    timed_inputs: int | Mapping[int, float] | None
    latency: str
    session_options: Mapping[str, Any] | None = None
    openvino_properties: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Identity:
    """What has to be the same for an experiment to be continued.

    Attributes:
        model_fingerprint: Hash of the FP32 graph.
        measuring: What models are measured on, and how.
        search_space: ``SearchSpace.describe()``.
        criterion: The accuracy criterion in words.
        stored_metrics: Names of the user's own metrics.
        goal: See ``Settings``.
        made_with: Settings that decide which model a choice gives, as far as they change one.
    """

    model_fingerprint: str
    measuring: Measuring
    search_space: Mapping[str, Any]
    criterion: str
    stored_metrics: Sequence[str] = ()
    goal: str = CONSTRAINT
    made_with: Mapping[str, str] = field(default_factory=dict)

    def fingerprints(self) -> dict[str, str]:
        """Names of what matters to short fingerprints, as the experiment's record keeps them."""
        measuring = self.measuring
        found = {
            "model": self.model_fingerprint,
            "data": _data_fingerprint(measuring.batches, measuring.timed_inputs),
            "search space": hashlib.sha256(json.dumps(self.search_space).encode()).hexdigest(),
            "accuracy criterion": self.criterion,
            "latency measurement": measuring.latency,
        }
        # Stores leave out what is as by default, and so does this, or nothing could be continued.
        if chosen := that_change_something(measuring.session_options):
            found["onnxruntime_session_options"] = json.dumps(chosen, sort_keys=True)
        if measuring.openvino_properties:
            found["openvino_properties"] = json.dumps(
                dict(measuring.openvino_properties), sort_keys=True
            )
        if self.stored_metrics:
            found["stored metrics"] = json.dumps(sorted(self.stored_metrics))
        if self.goal != CONSTRAINT:
            found["goal"] = self.goal
        found.update(self.made_with)
        return {name: _short(value) for name, value in found.items()}


def refuse_changes(experiment: Experiment, now: Mapping[str, str]) -> None:
    """Check that an experiment was begun with what is there now.

    Raises:
        ExperimentError: Something changed; the message names all that did.
    """
    known = experiment.read_record().identity
    if known is None:
        raise ExperimentError(
            f"Experiment {experiment.shown_id} holds no record of model and data.",
            "Leave sigopt_experiment_id out to create a new one.",
        )
    changed = [name for name in {**now, **known} if known.get(name) != now.get(name)]
    if changed:
        raise ExperimentError(
            f"Experiment {experiment.shown_id} cannot be continued: {', '.join(changed)} changed.",
            "Leave sigopt_experiment_id out to create a new one, or go back to what it was.",
        )


def refuse_another_bound(experiment: Experiment, target: float) -> None:
    """Check that the accuracy bound is the one of the experiment, now that the baseline is known.

    Raises:
        ExperimentError: The evaluation gives the FP32 model another accuracy than it did.
    """
    known = experiment.threshold
    if known is None or abs(known - target) > 1e-9 * max(1.0, abs(known)):
        raise ExperimentError(
            f"Experiment {experiment.shown_id} cannot be continued: the accuracy bound was "
            f"{known} and is {target} now, so the evaluation or its data changed.",
            "Leave sigopt_experiment_id out to create a new one, or go back to what it was.",
        )


def _short(value: str) -> str:
    """The value, or if SigOpt's metadata could not hold it its hash."""
    if len(value) <= METADATA_STRING:
        return value
    return hashlib.sha256(value.encode()).hexdigest()


def _data_fingerprint(
    batches: Sequence[Any], timed_inputs: int | Mapping[int, float] | None
) -> str:
    digest = hashlib.sha256(repr(timed_inputs).encode())
    for batch in batches:
        parts = list(batch.values()) if isinstance(batch, Mapping) else batch
        for part in parts if isinstance(parts, (list, tuple)) else [parts]:
            array = np.ascontiguousarray(part)
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()
