"""One trial: from an open suggestion to its observation."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from nc_sigopt_strategy.errors import TrialError
from nc_sigopt_strategy.experiments.suggestion import Suggestion
from nc_sigopt_strategy.measurement.per_input import PerInput, listening
from nc_sigopt_strategy.results.paired_inputs import PairedInputs
from nc_sigopt_strategy.results.trial_history import TrialHistory
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.settings.choices import PARETO
from nc_sigopt_strategy.tuning.as_ran import AsRan
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.failures import REPEATED_FAILURE
from nc_sigopt_strategy.tuning.host import Baseline, Evaluation, Model
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch
from nc_sigopt_strategy.tuning.start import Start

Observe = Callable[[TrialRecord, "str | None"], TrialRecord]
Keep = Callable[[TrialRecord, Model], None]


@dataclass(frozen=True)
class Tools:
    """What all trials of a run are measured with.

    Attributes:
        start: Host, meter, bound and reference.
        history: All trials so far.
        budget: Its clock times the phases.
        interrupts: Tells what looks like a failure from a Ctrl-C that somebody caught.
        observe: Stores a record with its graph's fingerprint.
        keep: Gets each measured record with its model, which may win.
        as_ran: Tells which ops run otherwise than chosen.
    """

    start: Start
    history: TrialHistory
    budget: Budget
    interrupts: InterruptWatch
    observe: Observe
    keep: Keep
    as_ran: AsRan


class OneTrial:
    """An open suggestion and what is known of it so far; ends in exactly one observation.

    Args:
        suggestion: What is tried.
        tools: What it is measured with.
        started: Seconds from the start of the run.
    """

    def __init__(self, suggestion: Suggestion, tools: Tools, started: float) -> None:
        self._suggestion = suggestion
        self._tools = tools
        self._started = started
        self._phases: dict[str, float] = {}
        self._fingerprint: str | None = None
        self._evaluation_began = 0.0

    def phase(self, name: str, seconds: float) -> None:
        """Add to the seconds spent in a phase."""
        self._phases[name] = self._phases.get(name, 0.0) + seconds

    def is_repeat_of_graph(self, model: Model) -> bool:
        """Whether an earlier trial gave the same graph; then its values are observed again.

        Raises:
            TrialError: The trial has taken too long.
        """
        tools = self._tools
        tools.interrupts.check()
        self.phase("quantize", self._elapsed - self._started - sum(self._phases.values()))
        self._check_timeout()
        self._fingerprint = tools.start.preparation.host.backend.fingerprint(model)
        same = tools.history.with_graph(self._fingerprint)
        if same is not None:
            self.repeat(same)
            return True
        self._evaluation_began = self._elapsed
        return False

    def repeat(self, same: TrialRecord) -> None:
        """Observe the values of an earlier trial with the same assignments or graph."""
        first = same.number if same.duplicate_of is None else same.duplicate_of
        if same.state is TrialState.FAILED:
            self.failed(f"{REPEATED_FAILURE} as trial {first}.")
            return
        record = dataclasses.replace(
            same,
            number=self._suggestion.number,
            origin=self._suggestion.origin,
            assignments=dict(self._suggestion.assignments),
            duplicate_of=first,
            # Other assignments that gave the same graph: what was chosen is not the same.
            ran_differently=same.ran_differently
            if dict(same.assignments) == dict(self._suggestion.assignments)
            else {},
        )
        self._end(record, None)

    def ends_early(self) -> AbstractContextManager[None]:
        """Inside, an evaluation ends once it is clear that the model misses the bound."""
        start = self._tools.start
        bounded = start.preparation.settings.goal != PARETO
        return listening(start.baseline.beside() if bounded else None)

    def measured(self, model: Model, evaluation: Evaluation) -> None:
        """Time an evaluated model and observe it.

        Raises:
            TrialError: The accuracy is not finite, timing failed or took too long.
        """
        start, history = self._tools.start, self._tools.history
        if evaluation.compile_seconds:
            self.phase("compile", evaluation.compile_seconds)
        evaluating = self._elapsed - self._evaluation_began
        self.phase("evaluate", max(0.0, evaluating - evaluation.compile_seconds))
        metrics = self._stored_metrics(model)
        bound = start.baseline.bound
        scalar = bound.scalar(evaluation.accuracy)
        stderr, paired = _beside_fp32(evaluation, start.baseline)
        self._check_timeout()
        if not start.reference.is_fixed:
            is_default = history.is_default(self._suggestion.assignments)
            start.reference.fix(model, is_default=is_default)
        begun = self._elapsed
        measured = start.meter.measure(model)
        self.phase("latency", self._elapsed - begun)
        self._check_timeout()
        record = self._end(
            dataclasses.replace(
                self._record(TrialState.OBSERVED),
                accuracy=scalar,
                accuracy_stddev=stderr,
                paired=paired,
                meets_bound=bound.met(scalar),
                latency_seconds=measured.latency_seconds,
                latency_stddev=measured.latency_stddev,
                latency_ratio=measured.latency_ratio,
                output_noise=measured.output_noise,
                duration_seconds=evaluation.duration_seconds,
                stored_metrics=metrics,
                ran_differently=self._ran_differently(model),
            ),
            self._fingerprint,
        )
        if record.observation_id is not None:
            self._tools.keep(record, model)
        start.preparation.host.backend.release(model)

    def failed(self, reason: str, *, interrupted: bool = False) -> None:
        """Observe a failure.

        Args:
            reason: Why, in words.
            interrupted: The run was stopped; the configuration is not to blame.
        """
        record = self._record(TrialState.FAILED)
        self._end(dataclasses.replace(record, failure=reason, interrupted=interrupted), None)

    @property
    def _elapsed(self) -> float:
        return self._tools.budget.elapsed_seconds

    def _stored_metrics(self, model: Model) -> dict[str, float]:
        preparation = self._tools.start.preparation
        if not preparation.stored_metrics.names:
            return {}
        begun = self._elapsed
        found = preparation.stored_metrics.of(preparation.host.users_model(model))
        self.phase("stored_metrics", self._elapsed - begun)
        return found

    def _ran_differently(self, model: Model) -> dict[str, str]:
        begun = self._elapsed
        choices = self._tools.start.preparation.space.decode(self._suggestion.assignments)
        found = self._tools.as_ran.differences(model, choices)
        self.phase("latency", self._elapsed - begun)
        return found

    def _check_timeout(self) -> None:
        allowed = self._tools.start.preparation.settings.trial_timeout_seconds
        taken = self._elapsed - self._started - self._phases.get("wait", 0.0)
        if allowed and taken > allowed:
            raise TrialError(
                f"The trial took {taken:.0f} s, longer than trial_timeout_seconds={allowed:g}."
            )

    def _record(self, state: TrialState) -> TrialRecord:
        return TrialRecord(
            number=self._suggestion.number,
            state=state,
            origin=self._suggestion.origin,
            assignments=dict(self._suggestion.assignments),
        )

    def _end(self, record: TrialRecord, fingerprint: str | None) -> TrialRecord:
        record = dataclasses.replace(
            record,
            suggestion_id=self._suggestion.suggestion_id,
            worker=self._tools.start.preparation.workplace.worker.name,
            machine=platform.node(),
            phase_seconds=dict(self._phases),
            started_seconds=self._started,
            ended_seconds=self._elapsed,
        )
        return self._tools.observe(record, fingerprint)


def _beside_fp32(
    evaluation: Evaluation, baseline: Baseline
) -> tuple[float | None, PairedInputs | None]:
    """Standard error of the difference from FP32, and its counts, where inputs are known.

    Raises:
        TrialError: More inputs than FP32's were evaluated.
    """
    beside, answer = baseline.beside(), evaluation.accuracy
    if beside is None or not isinstance(answer, PerInput):
        return None, None
    counts = beside.counts(answer.scores)
    return beside.stderr(answer.scores), counts
