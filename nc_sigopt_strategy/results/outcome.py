"""What a run ended with, as typed objects and as files.

``TrialRecord`` is one line of ``trials.jsonl``; ``Outcome`` is ``outcome.json``. Both are plain
data: reports and scripts read them without importing INC, TensorFlow or SigOpt.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.files import write_whole

logger = logging.getLogger("nc_sigopt_strategy")

SCHEMA_VERSION = 1


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
        meets_bound: Whether the accuracy criterion is met (equality counts).
        latency_seconds: Seconds for one inference on one batch, drift-corrected.
        latency_stddev: Standard error of ``latency_seconds``.
        latency_ratio: Latency over the reference model's, paired.
        duration_seconds: INC's own figure: wall time of the whole evaluation.
        output_noise: Noise power over signal variance at the outputs; dimensionless.
        failure: Why a failed trial failed.
        duplicate_of: Number of the trial whose graph or assignments were the same.
        phase_seconds: Wall seconds by phase: wait (for other workers of the machine), suggest,
            quantize, evaluate, stored_metrics (the user's function, if there is one), latency
            (output noise included), observe.
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
    """

    number: int
    state: TrialState
    origin: str = ""
    assignments: Mapping[str, str] = field(default_factory=dict)
    accuracy: float | None = None
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

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict; NaN and infinities become ``None``."""
        return dict(_json_safe(dataclasses.asdict(self)))

    def with_suggestion(self, suggestion_id: str | None) -> TrialRecord:
        """The same trial under another suggestion id."""
        return dataclasses.replace(self, suggestion_id=suggestion_id)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TrialRecord:
        """The inverse of ``to_json``; unknown keys of later versions are dropped."""
        known = {f.name for f in dataclasses.fields(cls)}
        values = {key: value for key, value in raw.items() if key in known}
        values["state"] = TrialState(values["state"])
        return cls(**values)


@dataclass(frozen=True)
class OpCost:
    """What one op seems to cost in accuracy when it runs in int8, from the trials of a run.

    Attributes:
        op: Full op name.
        accuracy_cost: Mean accuracy of trials with the op out of int8 minus with it in int8.
        trials_out: How many observed trials had the op out of int8.
    """

    op: str
    accuracy_cost: float
    trials_out: int


@dataclass(frozen=True)
class OpContribution:
    """What one op's type in the winner is worth, estimated from the trials of a run.

    Attributes:
        op: Full op name.
        value: The type that the winner gives it.
        milliseconds_saved: Latency of one batch without this choice minus with it.
        milliseconds_stderr: Standard error of ``milliseconds_saved``.
        accuracy_cost: Accuracy without this choice minus with it, in the metric's own units.
        accuracy_cost_stderr: Standard error of ``accuracy_cost``.
        noise: What it adds to the output noise; dimensionless.

    What the trials do not tell is ``None``.
    """

    op: str
    value: str
    milliseconds_saved: float | None
    milliseconds_stderr: float | None
    accuracy_cost: float | None
    accuracy_cost_stderr: float | None
    noise: float | None


@dataclass(frozen=True)
class Outcome:
    """How a tuning run ended.

    Attributes:
        strategy: INC strategy name.
        found: Whether some trial met the accuracy bound; with the goal "pareto" whether there is
            a front.
        stop_reason: Why it ended, as a sentence.
        baseline_accuracy: Accuracy of the FP32 model.
        baseline_duration_seconds: INC's wall time of the FP32 evaluation.
        accuracy_target: The value that had to be met.
        higher_is_better: Direction of the accuracy metric.
        fp32_latency_seconds: Paired latency of the FP32 model on one batch, if measured.
        batch_size: Images in the batch that latency is timed on.
        best: The trial whose model is returned; ``None`` when none met the bound. With the goal
            "pareto" the fastest on the front that meets it, else the most accurate.
        nearest_miss: When none met it, the trial that came nearest.
        costliest_ops: When none met it, the ops whose int8 cost the most accuracy.
        trials: How many suggestions were observed, failed ones included.
        tuning_seconds: Wall time from the first calibration to the model's return.
        experiment_id: SigOpt's id of the experiment.
        storage: Where the experiment is kept.
        files: Name to path of what was written, relative to the run folder.
        seconds_to_first_feasible: Run time until the first model that met the bound.
        tied: Trial numbers whose latency could not be told from the best's.
        calibration: How often calibration was answered from statistics and how often INC did it;
            see ``CalibrationUsage``. ``None`` where INC always does it.
        front: With the goal "pareto" the trials that no other beats in accuracy and latency at
            once, fastest first; else empty.
        session_options: The ``onnxruntime_session_options`` that all latencies were measured
            with; ``None`` for ONNX Runtime's defaults and for TensorFlow.
        op_contributions: What each op's type in the winner saves and costs, where that could be
            estimated.
        trials_by_worker: Name of a worker to how many of the trials were its own; empty where
            there was only one worker.
    """

    strategy: str
    found: bool
    stop_reason: str
    baseline_accuracy: float | None = None
    baseline_duration_seconds: float | None = None
    accuracy_target: float | None = None
    higher_is_better: bool = True
    fp32_latency_seconds: float | None = None
    batch_size: int | None = None
    best: TrialRecord | None = None
    nearest_miss: TrialRecord | None = None
    costliest_ops: tuple[OpCost, ...] = ()
    trials: int = 0
    tuning_seconds: float = 0.0
    experiment_id: str | None = None
    storage: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    seconds_to_first_feasible: float | None = None
    tied: tuple[int, ...] = ()
    calibration: Mapping[str, Any] | None = None
    front: tuple[TrialRecord, ...] = ()
    session_options: Mapping[str, Any] | None = None
    op_contributions: tuple[OpContribution, ...] = ()
    trials_by_worker: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict with the schema's version."""
        return {"schema_version": SCHEMA_VERSION, **_json_safe(dataclasses.asdict(self))}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Outcome:
        """The inverse of ``to_json``."""
        known = {f.name for f in dataclasses.fields(cls)}
        values = {key: value for key, value in raw.items() if key in known}
        for name in ("best", "nearest_miss"):
            if values.get(name) is not None:
                values[name] = TrialRecord.from_json(values[name])
        values["costliest_ops"] = tuple(OpCost(**cost) for cost in values.get("costliest_ops", ()))
        values["tied"] = tuple(values.get("tied", ()))
        values["front"] = tuple(TrialRecord.from_json(trial) for trial in values.get("front", ()))
        values["op_contributions"] = tuple(
            OpContribution(**contribution) for contribution in values.get("op_contributions", ())
        )
        return cls(**values)


_last: list[Outcome] = []


def last_outcome() -> Outcome | None:
    """What the last run in this process ended with; ``fit`` itself returns a model only."""
    return _last[-1] if _last else None


def set_last_outcome(outcome: Outcome) -> None:
    """Make an outcome the one that ``last_outcome`` returns."""
    _last[:] = [outcome]


OUTCOME_FILE = "outcome.json"
TRIALS_FILE = "trials.jsonl"
RECIPE_FILE = "recipe.json"


def write_outcome(outcome: Outcome, folder: Path) -> Path:
    """Write ``outcome.json`` into ``folder`` and return its path."""
    return write_whole(folder / OUTCOME_FILE, json.dumps(outcome.to_json(), indent=2) + "\n")


def publish(outcome: Outcome, folder: Path, writers: Mapping[str, Callable[[], Path]]) -> Outcome:
    """Make an outcome the last one and write its files; a full disk is part of the outcome.

    Args:
        outcome: What the run ended with.
        folder: Run folder.
        writers: Name in ``Outcome.files`` to what writes that file and returns its path.

    Returns:
        The outcome with the files that were written, and what could not be in its stop reason.
    """
    files, problems = dict(outcome.files), []
    for name, write in writers.items():
        try:
            files[name] = write().name
        except OSError as error:
            problems.append(f"The {name} could not be written: {error}.")
    files["outcome"] = OUTCOME_FILE
    reason = " ".join([outcome.stop_reason, *problems])
    outcome = dataclasses.replace(outcome, files=files, stop_reason=reason)
    set_last_outcome(outcome)
    try:
        write_outcome(outcome, folder)
    except OSError as error:
        problems.append(f"The outcome could not be written: {error}.")
    for problem in problems:
        logger.error("%s", problem)
    return outcome


def read_outcome(folder: Path) -> Outcome:
    """Read ``outcome.json`` of a run folder."""
    return Outcome.from_json(json.loads((folder / OUTCOME_FILE).read_text(encoding="utf-8")))


def write_trials(trials: Iterable[TrialRecord], folder: Path) -> Path:
    """Write ``trials.jsonl``, one trial a line, and return its path."""
    lines = (json.dumps(trial.to_json(), sort_keys=True) + "\n" for trial in trials)
    return write_whole(folder / TRIALS_FILE, "".join(lines))


def read_trials(folder: Path) -> list[TrialRecord]:
    """Read ``trials.jsonl`` of a run folder, in file order."""
    text = (folder / TRIALS_FILE).read_text(encoding="utf-8")
    return [TrialRecord.from_json(json.loads(line)) for line in text.splitlines() if line]


def _json_safe(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_safe(item) for item in value]
    return value
