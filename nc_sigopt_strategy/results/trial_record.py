"""One trial as plain data: one line of ``trials.jsonl``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from nc_sigopt_strategy.results.paired_inputs import PairedInputs


class TrialState(str, Enum):
    """How a trial ended."""

    OBSERVED = "observed"
    FAILED = "failed"


@dataclass(frozen=True)
class TrialRecord:
    """One suggestion, quantized and measured.

    Attributes:
        number: Position in the run, from 1.
        state: Observed, or failed with a ``failure`` reason.
        origin: Who proposed it: ``seed: <what>``, ``sampler: <name>`` or ``basic``.
        assignments: Parameter name to value label; empty for strategies without parameters.
        accuracy: What the evaluation returned, in the metric's own units.
        accuracy_stddev: Standard error of the accuracy's difference from FP32's, input by input;
            ``None`` where the evaluation does not speak of single inputs.
        paired: How it differs from FP32 on single inputs; ``None`` as above. It says whether the
            evaluation was ended early: then ``accuracy`` is what is expected of all inputs.
        meets_bound: Whether the accuracy criterion is met (equality counts).
        latency_seconds: Seconds for one inference on one batch, drift-corrected.
        latency_stddev: Standard error of ``latency_seconds``.
        latency_ratio: Latency over the reference model's, paired.
        duration_seconds: INC's own figure: wall time of the whole evaluation.
        output_noise: Noise power over signal variance at the outputs; dimensionless.
        failure: Why a failed trial failed.
        duplicate_of: Number of the trial whose graph or assignments were the same.
        phase_seconds: Wall seconds by phase: wait (for other workers of the machine), suggest,
            quantize, compile (where that is told apart), evaluate, stored_metrics (the user's
            function, if there is one), latency (output noise included), observe.
        started_seconds: Seconds from the start of the run to the start of the trial.
        ended_seconds: Seconds from the start of the run to its observation.
        suggestion_id: SigOpt's id of the suggestion.
        observation_id: SigOpt's id of the observation.
        model_path: Where the model lies, relative to the run folder, if it was kept.
        interrupted: The trial failed because the run was stopped, which says nothing about its
            configuration: it may be tried again.
        stored_metrics: What the user's ``stored_metrics_func`` returned, in units of its own.
        worker: Name of the worker that measured it.
        machine: Host name of the machine that it was measured on.
        ran_differently: Op name to "chosen, runs as ..." for the ops that the framework runs
            otherwise than chosen; in files only, not in the store.
    """

    number: int
    state: TrialState
    origin: str = ""
    assignments: Mapping[str, str] = field(default_factory=dict)
    accuracy: float | None = None
    accuracy_stddev: float | None = None
    paired: PairedInputs | None = None
    meets_bound: bool | None = None
    latency_seconds: float | None = None
    latency_stddev: float | None = None
    latency_ratio: float | None = None
    duration_seconds: float | None = None
    output_noise: float | None = None
    failure: str | None = None
    duplicate_of: int | None = None
    phase_seconds: Mapping[str, float] = field(default_factory=dict)
    started_seconds: float = 0.0
    ended_seconds: float = 0.0
    suggestion_id: str | None = None
    model_path: str | None = None
    interrupted: bool = False
    stored_metrics: Mapping[str, float] = field(default_factory=dict)
    worker: str | None = None
    machine: str | None = None
    observation_id: str | None = None
    ran_differently: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict; NaN and infinities become ``None``."""
        return dict(json_safe(dataclasses.asdict(self)))

    def with_suggestion(self, suggestion_id: str | None) -> TrialRecord:
        """The same trial under another suggestion id."""
        return dataclasses.replace(self, suggestion_id=suggestion_id)

    def in_words(self) -> str:
        """One line on it."""
        head = f"Trial {self.number} ({self.origin}):"
        if self.state is TrialState.FAILED:
            return f"{head} failed, {self.failure}"
        met = "meets the bound" if self.meets_bound else "misses the bound"
        if self.paired is not None and self.paired.ended_early:
            met += f", by {self.paired.inputs} of {self.paired.of} inputs"
        again = f", same as trial {self.duplicate_of}" if self.duplicate_of else ""
        return (
            f"{head} accuracy {self.accuracy:.4f} ({met}), "
            f"latency {1e3 * (self.latency_seconds or 0.0):.2f} ms{again}."
        )

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TrialRecord:
        """The inverse of ``to_json``; unknown keys of later versions are dropped."""
        known = {f.name for f in dataclasses.fields(cls)}
        values = {key: value for key, value in raw.items() if key in known}
        values["state"] = TrialState(values["state"])
        if values.get("paired") is not None:
            values["paired"] = PairedInputs(**values["paired"])
        return cls(**values)


def json_safe(value: Any) -> Any:
    """Data that JSON can hold: NaN and infinities become ``None``."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_safe(item) for item in value]
    return value
