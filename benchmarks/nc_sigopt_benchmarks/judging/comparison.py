"""What a comparison of strategies found, as plain data that tables, plots and pages show."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nc_sigopt_benchmarks.config.rivals import RIVALS
from nc_sigopt_benchmarks.judging.runtime_rows import RuntimeRow
from nc_sigopt_benchmarks.judging.timed_models import HeldOut, PairedComparison, TimedModel
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord

RESULTS_SCHEMA_VERSION = 2


@dataclass(frozen=True)
class StrategyResult:
    """One run of one strategy.

    Attributes:
        label: How the comparison names the run: the strategy's label, with the number of the
            repeat behind it where there are several.
        outcome: How its run ended; ``None`` when its process left nothing.
        trials: In the order in which they ran.
        timed: Its best model, timed side by side.
        failure: Why it crashed, if it did.
        note: What else a reader should know.
        wrong_use: Whether the failure is an error of ours, which the user can mend.
        crash: The way through the user's own code, where that failed.
        strategy: The strategy's label, which all of its repeats share.
        repeat: Number of the repeat, from 1.
        skipped: Why it was not run at all, if so.
        accuracy_interval: 95 % sampling interval of the returned model's accuracy, where the
            number of evaluation images is known.
        over_basic: Its best model against that of ``basic``.
        held_out: Its best model on images that no trial saw.
        peak_memory_bytes: Largest resident memory of its process.
        model_bytes: Size of its best model's file.
        host: Machine and versions, where they are not the comparison's own.
        name: The strategy's name, where its outcome does not say it.
    """

    label: str
    outcome: Outcome | None
    trials: tuple[TrialRecord, ...] = ()
    timed: TimedModel | None = None
    failure: str | None = None
    note: str | None = None
    wrong_use: bool = False
    crash: str | None = None
    strategy: str = ""
    repeat: int = 1
    skipped: str | None = None
    accuracy_interval: Interval | None = None
    over_basic: PairedComparison | None = None
    held_out: HeldOut | None = None
    peak_memory_bytes: int | None = None
    model_bytes: int | None = None
    host: Mapping[str, Any] | None = None
    name: str = ""

    @property
    def found(self) -> bool:
        """Whether it ended with a model that meets the bound; a Pareto front may have none."""
        best = self.outcome.best if self.outcome is not None and self.outcome.found else None
        return best is not None and best.meets_bound is not False

    @property
    def found_faster(self) -> bool:
        """Whether the model found is not shown to be no faster than FP32."""
        if not self.found or self.outcome is None:
            return False
        if self.timed is not None:
            return self.timed.speedup.low > 1.0
        return self.outcome.faster_than_fp32 is not False

    @property
    def group(self) -> str:
        """What all repeats of one strategy share."""
        return self.strategy or self.label

    @property
    def is_rival(self) -> bool:
        """Whether it is what a runtime offers by itself."""
        return self.name in RIVALS

    @property
    def shown(self) -> TrialRecord | None:
        """The trial that stands for the run: the best, or without one the nearest."""
        return None if self.outcome is None else self.outcome.best or self.outcome.nearest_miss

    def was_timed(self, trial: TrialRecord) -> bool:
        """Whether ``timed`` is of a trial's model, the same graph included."""
        shown = self.shown
        if self.timed is None or shown is None:
            return False
        return (trial.duplicate_of or trial.number) == (shown.duplicate_of or shown.number)

    def returned(self, trial: TrialRecord) -> bool:
        """Whether a trial's model is the one that was returned, the same graph included."""
        best = self.outcome.best if self.outcome else None
        if best is None:
            return False
        return (trial.duplicate_of or trial.number) == (best.duplicate_of or best.number)


@dataclass(frozen=True)
class Comparison:
    """A whole comparison; ``to_json`` is ``results.json``, ``reading`` its inverse.

    Attributes:
        name: The run's name.
        started: ISO date and time.
        model: The model's name.
        accuracy_note: What the accuracy is an accuracy of.
        bound: The accuracy bound in words.
        baseline_accuracy: FP32's accuracy.
        accuracy_target: What had to be met.
        higher_is_better: Direction of the metric.
        batch_size: Inputs per timed batch.
        strategies: One result each.
        fp32: The FP32 model, timed side by side.
        default_int8: Neural Compressor's default int8 model, timed side by side if it was kept.
        default_int8_trial: The trial that the default int8 model is of.
        verdicts: Sentences: who found what, who is faster, what is a tie.
        best_label: Whose model is the run's best.
        settings: The run configuration.
        host: Machine and versions.
        interrupted: Whether Ctrl-C ended the run.
        total_seconds: Wall time of the whole comparison.
        framework: ``tensorflow`` or ``onnxruntime``.
        evaluation_images: How many images evaluate, where known.
        noise: How quiet the machine was; see ``host_noise``.
        model_bytes: Size of the FP32 model's file.
        joined_from: Run folders that this comparison was joined from.
        runtimes: Where it goes across runtimes: every model, in the way in which it is run.
    """

    name: str
    started: str
    model: str
    accuracy_note: str
    bound: str
    baseline_accuracy: float | None
    accuracy_target: float | None
    higher_is_better: bool
    batch_size: int
    strategies: tuple[StrategyResult, ...]
    fp32: TimedModel | None = None
    default_int8: TimedModel | None = None
    default_int8_trial: TrialRecord | None = None
    verdicts: tuple[str, ...] = ()
    best_label: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)
    interrupted: bool = False
    total_seconds: float = 0.0
    framework: str = "tensorflow"
    evaluation_images: int | None = None
    noise: Mapping[str, Any] = field(default_factory=dict)
    model_bytes: int | None = None
    joined_from: tuple[str, ...] = ()
    runtimes: tuple[RuntimeRow, ...] = ()

    @property
    def found(self) -> bool:
        """Whether any strategy ended with a model that meets the bound."""
        return any(strategy.found for strategy in self._searches)

    @property
    def found_faster(self) -> bool:
        """Whether any strategy's model is not shown to be no faster than FP32."""
        return any(strategy.found_faster for strategy in self._searches)

    @property
    def _searches(self) -> tuple[StrategyResult, ...]:
        """The strategies that stand for the comparison: without rivals, if there are others."""
        others = tuple(strategy for strategy in self.strategies if not strategy.is_rival)
        return others or self.strategies

    @property
    def wrong_use(self) -> bool:
        """Whether there is no model because no strategy could be used as it was configured."""
        return bool(self.strategies) and all(
            strategy.wrong_use and not strategy.found for strategy in self.strategies
        )

    @property
    def crashed(self) -> StrategyResult | None:
        """Where there is no model, the first strategy that the user's own code ended, if any."""
        if self.found:
            return None
        return next((strategy for strategy in self.strategies if strategy.crash), None)

    def trial_latency(self, strategy: StrategyResult, trial: TrialRecord) -> float | None:
        """Latency in seconds of one of a strategy's trials, on the scale of the final timing.

        The model that was timed side by side has the latency from there. Any other
        trial was paired with the default int8 model during its own run, when the machine may have
        been slower or faster; its ratio times that model's latency now leaves the drift out.
        """
        if strategy.timed is not None and strategy.was_timed(trial):
            return strategy.timed.latency_seconds.value
        if trial.latency_ratio is not None and self.default_int8 is not None:
            return trial.latency_ratio * self.default_int8.latency_seconds.value
        return trial.latency_seconds

    def with_own_latencies(self, strategy: StrategyResult) -> StrategyResult:
        """The same result with ``trial_latency`` in its trials, fit for another comparison."""
        trials = tuple(
            dataclasses.replace(
                trial, latency_seconds=self.trial_latency(strategy, trial), latency_ratio=None
            )
            for trial in strategy.trials
        )
        return dataclasses.replace(strategy, trials=trials)

    def to_json(self) -> dict[str, Any]:
        """JSON-safe data with the schema's version; NaN and infinities become ``None``."""
        plain = dataclasses.asdict(self)
        for raw, strategy in zip(plain["strategies"], self.strategies, strict=True):
            raw["outcome"] = strategy.outcome.to_json() if strategy.outcome else None
            raw["trials"] = [trial.to_json() for trial in strategy.trials]
        trial = self.default_int8_trial
        plain["default_int8_trial"] = trial.to_json() if trial else None
        return {"schema_version": RESULTS_SCHEMA_VERSION, **_finite(plain)}


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
