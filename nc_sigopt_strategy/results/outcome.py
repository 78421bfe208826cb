"""What a run ended with: ``outcome.json``.

Plain data: reports and scripts read it without importing INC, TensorFlow or SigOpt.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nc_sigopt_strategy.results.finalist import Finalist
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.trial_record import TrialRecord, json_safe
from nc_sigopt_strategy.space.ops import PRECISIONS

SCHEMA_VERSION = 1
_FP32 = PRECISIONS[-1]


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
class BatchLatency:
    """Latency at one batch size, where several are wanted.

    Attributes:
        batch_size: Inputs in the batch.
        weight: What it counts; all weights add up to 1.
        seconds: Of the model that is returned, for one batch.
        fp32_seconds: Of FP32.
        speedup: FP32's latency over the model's, timed side by side.
    """

    batch_size: int
    weight: float
    seconds: float
    fp32_seconds: float
    speedup: Interval


@dataclass(frozen=True)
class OtherBound:
    """What another accuracy bound would have bought: the fastest model tried that meets it.

    Attributes:
        loss: Of accuracy, as a share of FP32's; below zero where the model is better than FP32.
        accuracy: Of the model, in the metric's own units.
        speedup: FP32's latency over the model's, from the trials; on the scale of the side-by-side
            timing of the model that is returned, where there is one.
        trial: Its number.
    """

    loss: float
    accuracy: float
    speedup: float
    trial: int


@dataclass(frozen=True)
class Outcome:
    """How a tuning run ended.

    Attributes:
        strategy: INC strategy name.
        model: What the user calls the model: its file's name without the suffix, where it has one.
        runtime: Name of the backend that ran the models: ``onnxruntime``, ``openvino``, ``torch``
            or ``tensorflow``.
        found: Whether some trial met the accuracy bound; with the goal "pareto" whether there is
            a front.
        stop_reason: Why it ended, as a sentence.
        verdict: What came of it, as a sentence or two; empty where nothing was judged.
        faster_than_fp32: Whether the model that is returned is quantized and faster than FP32
            beyond the noise; ``None`` without a model, and where they were not timed.
        speedup: FP32's latency over the returned model's, timed side by side at the end.
        timing_noise: How far FP32's own timings lay apart meanwhile, as a share of their median.
        baseline_accuracy: Accuracy of the FP32 model.
        baseline_duration_seconds: INC's wall time of the FP32 evaluation.
        accuracy_target: The value that had to be met.
        higher_is_better: Direction of the accuracy metric.
        fp32_latency_seconds: Paired latency of the FP32 model on one batch, if measured.
        batch_size: Images in the batch that latency is timed on; ``None`` where there are several
            sizes, and then latencies are weighted geometric means.
        by_batch: Latency at each of several batch sizes, in the order of the setting.
        best: The trial whose model is returned; ``None`` when none met the bound. With the goal
            "pareto" the fastest on the front that meets it, else the most accurate.
        nearest_miss: When none met it, the trial that came nearest; when none that met it is
            faster than FP32, the nearest of those that are.
        costliest_ops: When none met it, the ops whose int8 cost the most accuracy.
        trials: How many suggestions were observed, failed ones included.
        tuning_seconds: Wall time from the first calibration to the model's return.
        experiment_id: SigOpt's id of the experiment.
        storage: Where the experiment is kept.
        files: Name to path of what was written, relative to the run folder.
        seconds_to_first_feasible: Run time until the first model that met the bound and was faster
            than FP32 beyond the noise.
        tied: Trial numbers whose latency could not be told from the best's.
        calibration: How often calibration was answered from statistics and how often INC did it;
            see ``CalibrationUsage``. ``None`` where INC always does it.
        front: With the goal "pareto" the trials that no other beats in accuracy and latency at
            once, fastest first; else empty.
        finalists: With a bound the models that were timed side by side at the end, the returned
            one among them, and how probable it is that each keeps the bound.
        bound_confidence: How probable that had to be; ``None`` where nobody asked.
        most_probable: Where no model that met the bound was probable enough, the one that was most
            so.
        session_options: The ``onnxruntime_session_options`` that all latencies were measured
            with; ``None`` for the defaults and for TensorFlow.
        ops_by_type: Type to how many ops of the model that is returned run in it, by what was
            chosen, the least precise first.
        other_bounds: What other accuracy bounds would have bought, the smallest loss first.
        op_contributions: What each op's type in the winner saves and costs, where that could be
            estimated; where no quantized model won, in the nearest miss, else in default int8.
        trials_by_worker: Name of a worker to how many of the trials were its own; empty where
            there was only one worker.
        model_notes: What was changed in the user's model before it was tuned, in sentences.
        deployment: What a session needs for the winner to be what was measured: the chosen
            ``session_options``, and under ``rebuilt_from_recipe`` the ``session_config_entries``
            for a model rebuilt from ``recipe.json``. Empty if any session will do.
        error: What went wrong, if an error ended the run before its budget was spent.
        crash: Where it was the user's own code: the way through it, as Python shows tracebacks.
    """

    strategy: str
    found: bool
    stop_reason: str
    model: str = ""
    runtime: str = ""
    verdict: str = ""
    faster_than_fp32: bool | None = None
    speedup: Interval | None = None
    timing_noise: float | None = None
    baseline_accuracy: float | None = None
    baseline_duration_seconds: float | None = None
    accuracy_target: float | None = None
    higher_is_better: bool = True
    fp32_latency_seconds: float | None = None
    batch_size: int | None = None
    by_batch: tuple[BatchLatency, ...] = ()
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
    finalists: tuple[Finalist, ...] = ()
    bound_confidence: float | None = None
    most_probable: Finalist | None = None
    session_options: Mapping[str, Any] | None = None
    ops_by_type: Mapping[str, int] = field(default_factory=dict)
    other_bounds: tuple[OtherBound, ...] = ()
    op_contributions: tuple[OpContribution, ...] = ()
    trials_by_worker: Mapping[str, int] = field(default_factory=dict)
    model_notes: tuple[str, ...] = ()
    deployment: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    crash: str | None = None

    def __str__(self) -> str:
        return self.verdict or self.stop_reason

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, and below it why the run ended."""
        first, rest = html.escape(str(self)), html.escape(self.stop_reason)
        about = " on ".join(filter(None, (self.model, self.runtime)))
        heading = f"<small>{html.escape(about)}</small><br>" if about else ""
        below = f"<br><small>{rest}</small>" if self.verdict else ""
        return f"<div>{heading}<strong>{first}</strong>{below}</div>"

    @property
    def returns_fp32(self) -> bool:
        """Whether the model that is returned is FP32 itself, which keeps the bound by definition.

        The bound is a loss of accuracy against FP32, so nothing is to be found out of it.
        """
        return self.best is not None and set(self.ops_by_type) == {_FP32}

    @property
    def best_finalist(self) -> Finalist | None:
        """What was found out of ``best`` at the end; ``None`` where there are no finalists."""
        number = None if self.best is None else self.best.number
        return next((one for one in self.finalists if one.trial == number), None)

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict with the schema's version."""
        return {"schema_version": SCHEMA_VERSION, **json_safe(dataclasses.asdict(self))}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Outcome:
        """The inverse of ``to_json``."""
        known = {f.name for f in dataclasses.fields(cls)}
        values = {key: value for key, value in raw.items() if key in known}
        for name in ("best", "nearest_miss"):
            if values.get(name) is not None:
                values[name] = TrialRecord.from_json(values[name])
        if values.get("speedup") is not None:
            values["speedup"] = Interval(**values["speedup"])
        values["costliest_ops"] = tuple(OpCost(**cost) for cost in values.get("costliest_ops", ()))
        values["tied"] = tuple(values.get("tied", ()))
        values["front"] = tuple(TrialRecord.from_json(trial) for trial in values.get("front", ()))
        values["finalists"] = tuple(map(Finalist.from_json, values.get("finalists", ())))
        if values.get("most_probable") is not None:
            values["most_probable"] = Finalist.from_json(values["most_probable"])
        values["op_contributions"] = tuple(
            OpContribution(**contribution) for contribution in values.get("op_contributions", ())
        )
        values["other_bounds"] = tuple(
            OtherBound(**bound) for bound in values.get("other_bounds", ())
        )
        values["by_batch"] = tuple(
            BatchLatency(**{**latency, "speedup": Interval(**latency["speedup"])})
            for latency in values.get("by_batch", ())
        )
        values["model_notes"] = tuple(values.get("model_notes", ()))
        return cls(**values)
