"""What has to be the same for an experiment to be continued."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.experiments.documents import METADATA_STRING
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.settings.choices import CONSTRAINT
from nc_sigopt_strategy.settings.session_options import that_change_something

SESSION_OPTIONS = "onnxruntime_session_options"
STORED_METRICS = "stored metrics"
GOAL = "goal"


def identity(
    *,
    model_fingerprint: str,
    batches: Sequence[Any],
    timed_inputs: int | None,
    search_space: Mapping[str, Any],
    criterion: str,
    latency: str,
    session_options: Mapping[str, Any] | None = None,
    stored_metrics: Sequence[str] = (),
    goal: str = CONSTRAINT,
) -> dict[str, str]:
    """Names of what matters to short fingerprints, as kept in the experiment's record.

    Args:
        model_fingerprint: Hash of the FP32 graph.
        batches: The calibration batches that latency and output noise are measured on.
        timed_inputs: How many inputs of the first batch are timed; ``None`` for all.
        search_space: ``SearchSpace.describe()``.
        criterion: The accuracy criterion in words.
        latency: How latency is measured.
        session_options: ONNX Runtime's, if the user chose any.
        stored_metrics: Names of the user's own metrics.
        goal: See ``Settings``.
    """
    found = {
        "model": model_fingerprint,
        "data": _data_fingerprint(batches, timed_inputs),
        "search space": hashlib.sha256(json.dumps(search_space).encode()).hexdigest(),
        "accuracy criterion": criterion,
        "latency measurement": latency,
    }
    # Names of what is not there are left out: experiments of earlier versions lack them too.
    if chosen := that_change_something(session_options):
        found[SESSION_OPTIONS] = json.dumps(chosen, sort_keys=True)
    if stored_metrics:
        found[STORED_METRICS] = json.dumps(sorted(stored_metrics))
    if goal != CONSTRAINT:
        found[GOAL] = goal
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


def _data_fingerprint(batches: Sequence[Any], timed_inputs: int | None) -> str:
    digest = hashlib.sha256(repr(timed_inputs).encode())
    for batch in batches:
        parts = batch.values() if isinstance(batch, Mapping) else batch
        for part in parts if isinstance(parts, (list, tuple)) else [parts]:
            array = np.ascontiguousarray(part)
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()
