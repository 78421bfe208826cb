"""One run of the suggestion loop: what to try next, what a trial gave, what is best so far.

Knows nothing of INC: the strategy hands it models and takes the winner from it.
"""

from __future__ import annotations

import dataclasses
import logging
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.backends import Backend
from nc_sigopt_strategy.console.progress import TuningProgress
from nc_sigopt_strategy.errors import SuggestionLostError, TrialError
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.lease import RENEWALS_PER_LEASE, LeaseKeeper, Worker
from nc_sigopt_strategy.experiments.record import Reference
from nc_sigopt_strategy.experiments.suggestion import Suggestion
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.meter import Meter
from nc_sigopt_strategy.results.outcome import OpCost, Outcome
from nc_sigopt_strategy.results.trial_history import TrialHistory
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.settings.choices import PARETO
from nc_sigopt_strategy.space.search_space import SearchSpace
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.first_suggestions import InitialSuggestions
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch
from nc_sigopt_strategy.tuning.machine_lock import MachineLock
from nc_sigopt_strategy.tuning.trial_source import TrialSource
from nc_sigopt_strategy.winners.front_files import FrontFiles
from nc_sigopt_strategy.winners.goals import Decision, FastestWithinBound, WholeFront
from nc_sigopt_strategy.winners.kept_models import KeptModels
from nc_sigopt_strategy.winners.verdict import costliest_ops

logger = logging.getLogger("nc_sigopt_strategy")

# How often a suggestion is run again after the process died with it, before it counts as failed.
RERUNS = 1
# How often a worker that has nothing to do looks whether others have got further.
_POLL_SECONDS = 0.5
# What a server that was away gets at the end, to be told what it missed.
_FLUSH_SECONDS = 5.0


@dataclass
class OpenTrial:
    """The trial that is being worked on and what is known of it so far."""

    trial: Suggestion
    started: float
    phases: dict[str, float] = field(default_factory=dict)
    fingerprint: str | None = None

    def phase(self, name: str, seconds: float) -> None:
        """Add to the seconds spent in a phase."""
        self.phases[name] = self.phases.get(name, 0.0) + seconds


class TuningRun:
    """The state of a run.

    Args:
        experiment: Where suggestions come from and observations go to.
        space: The search space.
        seeds: What to try before the engine is asked.
        bound: The accuracy bound.
        meter: Measures latency and output noise.
        backend: Saves and fingerprints models.
        budget: When to stop.
        output_dir: Run folder.
        progress: Live progress.
        goal: ``constraint`` or ``pareto``, see ``Settings``.
        finalists: How many of the best are timed side by side at the end.
        sampler: The engine's sampler, for the record.
        trial_timeout_seconds: 0 for no limit.
        interrupts: Holds back Ctrl-C while an observation is stored.
        worker: Who this is among the workers of the experiment.
        machine: Keeps other workers of this machine waiting during a trial.
        restore_reference: Sets the meter's reference to the one that the experiment's record
            names; False while it names none.
    """

    def __init__(
        self,
        *,
        experiment: Experiment,
        space: SearchSpace,
        seeds: InitialSuggestions,
        bound: AccuracyBound,
        meter: Meter,
        backend: Backend,
        budget: Budget,
        output_dir: Path,
        progress: TuningProgress,
        goal: str,
        finalists: int,
        sampler: str,
        trial_timeout_seconds: float,
        interrupts: InterruptWatch,
        worker: Worker,
        machine: MachineLock,
        restore_reference: Callable[[], bool],
    ) -> None:
        self.experiment = experiment
        self.space = space
        self.bound = bound
        self.meter = meter
        self.budget = budget
        self.output_dir = output_dir
        self.open: OpenTrial | None = None
        self.stop_reason = ""
        self._backend = backend
        self._progress = progress
        self._trial_timeout = trial_timeout_seconds
        self._interrupts = interrupts
        self._worker = worker
        self._machine = machine
        self._restore_reference = restore_reference
        self._trial_seconds: list[float] = []
        self.history = TrialHistory(space.default, experiment.trials())
        self.models = KeptModels(backend, output_dir)
        self.decision: Decision
        if goal == PARETO:
            files = FrontFiles(backend, output_dir)
            self.decision = WholeFront(
                self.history, self.models, backend, files, maximize=bound.maximize
            )
        else:
            self.decision = FastestWithinBound(
                self.history,
                self.models,
                backend,
                meter,
                budget,
                maximize=bound.maximize,
                finalists=finalists,
            )
        self._source = TrialSource(experiment, self.history, seeds, sampler, worker)
        self._lease = LeaseKeeper(experiment.renew, worker.lease_seconds / RENEWALS_PER_LEASE)

    def next_trial(self) -> Suggestion | None:
        """Open the next suggestion that has to be quantized, or ``None`` at the end.

        Suggestions whose assignments were measured before are observed on the way.
        """
        while True:
            started = self.budget.elapsed_seconds
            waited = self._machine.take(self._check_while_waiting)
            asked = self.budget.elapsed_seconds
            self._source.look_around()
            self.stop_reason = self._why_stop() or ""
            if self.stop_reason:
                self._machine.give()
                return None
            if not self._may_start():
                self._machine.give()
                self._check_while_waiting()
                time.sleep(_POLL_SECONDS)
                continue
            first = not self.meter.has_reference
            trial = self._source.open_next(self.budget.max_trials, first=first)
            if trial is None:
                continue
            self._lease.hold(trial.suggestion_id)
            self.open = OpenTrial(trial, started)
            if waited:
                self.open.phase("wait", waited)
            self.open.phase("suggest", self.budget.elapsed_seconds - asked)
            if trial.reruns > RERUNS:
                self.fail("The process died twice while this configuration was tried.")
                continue
            same = self.history.with_assignments(trial.assignments)
            if same is None:
                return trial
            self.repeat(same)

    def quantized(self, model: Any) -> TrialRecord | None:
        """Note that the open trial's model is there; the earlier trial with the same graph.

        Raises:
            TrialError: The trial has taken too long.
        """
        now = self._require_open()
        now.phase("quantize", self.budget.elapsed_seconds - now.started - sum(now.phases.values()))
        self.check_trial_timeout()
        now.fingerprint = self._backend.fingerprint(model)
        return self.history.with_graph(now.fingerprint)

    def repeat(self, same: TrialRecord) -> None:
        """Observe the open trial with the values of an earlier one that gave the same graph."""
        now = self._require_open()
        first = same.number if same.duplicate_of is None else same.duplicate_of
        if same.state is TrialState.FAILED:
            self.fail(f"The same configuration failed as trial {first}.")
            return
        record = dataclasses.replace(
            same,
            number=now.trial.number,
            origin=now.trial.origin,
            assignments=dict(now.trial.assignments),
            duplicate_of=first,
        )
        self._observe(record, None)

    def measure(
        self,
        model: Any,
        accuracy: Any,
        duration_seconds: float,
        stored_metrics: Mapping[str, float] | None = None,
    ) -> TrialRecord:
        """Time the open trial's model and observe it.

        Args:
            model: INC's quantized model.
            accuracy: What the evaluation returned.
            duration_seconds: INC's wall time of the evaluation.
            stored_metrics: The user's own metrics of it.

        Raises:
            TrialError: The accuracy is not finite, timing failed or took too long.
        """
        now = self._require_open()
        scalar = self.bound.scalar(accuracy)
        self.check_trial_timeout()
        if not self.meter.has_reference:
            is_default = self.history.is_default(now.trial.assignments)
            self.meter.set_reference(model if is_default else None)
            self._keep_reference("default" if is_default else "fp32")
        begun = time.monotonic()
        measured = self.meter.measure(model)
        now.phase("latency", time.monotonic() - begun)
        self.check_trial_timeout()
        record = TrialRecord(
            number=now.trial.number,
            state=TrialState.OBSERVED,
            origin=now.trial.origin,
            assignments=dict(now.trial.assignments),
            accuracy=scalar,
            meets_bound=self.bound.met(scalar),
            latency_seconds=measured.latency_seconds,
            latency_stddev=measured.latency_stddev,
            latency_ratio=measured.latency_ratio,
            output_noise=measured.output_noise,
            duration_seconds=duration_seconds,
            stored_metrics=dict(stored_metrics or {}),
        )
        record = self._observe(record, now.fingerprint)
        if record.observation_id is not None:
            self.decision.measured(record, model)
        return record

    def fail(self, reason: str, *, interrupted: bool = False) -> None:
        """Observe the open trial as failed.

        Args:
            reason: Why, in words.
            interrupted: The run was stopped; the configuration is not to blame.
        """
        now = self._require_open()
        record = TrialRecord(
            number=now.trial.number,
            state=TrialState.FAILED,
            origin=now.trial.origin,
            assignments=dict(now.trial.assignments),
            failure=reason,
            interrupted=interrupted,
        )
        self._observe(record, None)

    def check_trial_timeout(self) -> None:
        """Raise ``TrialError`` if the open trial has taken longer than it may."""
        now = self._require_open()
        taken = self.budget.elapsed_seconds - now.started - now.phases.get("wait", 0.0)
        if self._trial_timeout and taken > self._trial_timeout:
            raise TrialError(
                f"The trial took {taken:.0f} s, longer than trial_timeout_seconds="
                f"{self._trial_timeout:g}."
            )

    def decide(
        self, rebuild: Callable[[Mapping[str, str]], Any]
    ) -> tuple[TrialRecord, Any] | None:
        """The winner with its model; see ``Decision``.

        Args:
            rebuild: Quantizes assignments again, for a model that an earlier process measured.
        """
        with self._machine.held():
            return self.decision.decide(rebuild)

    def outcome(
        self,
        *,
        baseline_duration_seconds: float | None,
        winner: TrialRecord | None,
        storage: str | None,
        calibration: Mapping[str, Any] | None,
        session_options: Mapping[str, Any] | None,
    ) -> Outcome:
        """What the run ended with."""
        records = self.history.records
        observed = [r for r in records if r.accuracy is not None]
        nearest: TrialRecord | None = None
        costly: tuple[OpCost, ...] = ()
        if winner is None and observed:
            nearest = min(observed, key=lambda r: self.bound.shortfall(r.accuracy or 0.0))
            names = {p.name: ", ".join(op[0] for op in p.ops) for p in self.space.parameters}
            costly = costliest_ops(records, self.bound.maximize, names)
        if winner is not None and self.models.save_error is None:
            winner = dataclasses.replace(winner, model_path=self.models.file_name)
        feasible = [r.ended_seconds for r in records if r.meets_bound]
        return Outcome(
            strategy="sigopt",
            found=winner is not None,
            stop_reason=" ".join(filter(None, (self.stop_reason, *self._save_errors()))),
            baseline_accuracy=self.bound.baseline_scalar,
            baseline_duration_seconds=baseline_duration_seconds,
            accuracy_target=self.bound.target,
            higher_is_better=self.bound.maximize,
            fp32_latency_seconds=self.meter.fp32_seconds,
            batch_size=self.meter.batch_size,
            best=winner,
            nearest_miss=nearest,
            costliest_ops=costly,
            trials=len(records),
            tuning_seconds=self.budget.elapsed_seconds,
            experiment_id=self.experiment.shown_id,
            storage=storage,
            files={}
            if winner is None or winner.model_path is None
            else {"model": winner.model_path},
            seconds_to_first_feasible=min(feasible) if feasible else None,
            tied=self.decision.tied,
            front=self.decision.front,
            calibration=calibration,
            session_options=session_options,
            trials_by_worker=self.history.trials_by_worker(),
        )

    def close(self) -> None:
        """Tell a server what it missed; release the meter and the models that did not win."""
        self._lease.close()
        self._machine.give()
        self.experiment.flush(_FLUSH_SECONDS)
        self.meter.close()
        self.models.clear()

    def _why_stop(self) -> str | None:
        reason = self.budget.stop_reason(
            trials=len(self.history.records),
            found=self.history.best is not None,
            trial_seconds=self._trial_seconds,
            reserved_seconds=self.decision.reserved_seconds(),
            failures_in_a_row=self.history.failures_in_a_row,
        )
        if reason is None and len(self.history.by_assignments) >= self.space.size:
            return f"All {self.space.size} configurations have been tried."
        return reason

    def _may_start(self) -> bool:
        """Whether there is a trial for this worker.

        The last trials of the budget may be with others. They are waited for: if one of those
        dies, its trial falls to this worker, and the decision is made among all trials.
        """
        if len(self.history.records) + self._source.others >= self.budget.max_trials:
            return False
        # Latencies need a reference; without one and with nobody at it, it falls to this worker.
        if self.meter.has_reference or not self.experiment.is_shared:
            return True
        return self._restore_reference() or self._source.others == 0

    def _check_while_waiting(self) -> None:
        self._interrupts.check()

    def _observe(self, record: TrialRecord, fingerprint: str | None) -> TrialRecord:
        """Observe the open trial; without an observation id if another worker took it over."""
        record = self._finished(record)
        begun = time.monotonic()
        self._lease.let_go()
        # An interrupt in between would close a suggestion that has its observation already.
        with self._interrupts.held():
            try:
                observation_id = self.experiment.observe(record, fingerprint)
            except SuggestionLostError as error:
                logger.warning("%s What was measured is dropped.", error)
                self.open = None
                return record
            finally:
                self._machine.give()
            self.open = None
            spent = {**record.phase_seconds, "observe": time.monotonic() - begun}
            record = dataclasses.replace(
                record, phase_seconds=spent, observation_id=observation_id
            )
            self.history.add(record, fingerprint)
        if record.duplicate_of is None and record.state is TrialState.OBSERVED:
            self._trial_seconds.append(record.ended_seconds - record.started_seconds)
        self._report(record)
        return record

    def _finished(self, record: TrialRecord) -> TrialRecord:
        now = self._require_open()
        return dataclasses.replace(
            record,
            suggestion_id=now.trial.suggestion_id,
            worker=self._worker.name,
            machine=platform.node(),
            phase_seconds=dict(now.phases),
            started_seconds=now.started,
            ended_seconds=self.budget.elapsed_seconds,
        )

    def _keep_reference(self, kind: str) -> None:
        """Note the reference, so that latencies mean the same when the run is continued."""
        if self.meter.reference_seconds is not None:
            reference = Reference(kind, self.meter.reference_seconds)
            record = self.experiment.read_record()
            self.experiment.write_record(dataclasses.replace(record, reference=reference))

    def _report(self, record: TrialRecord) -> None:
        said = self.decision.so_far()
        logger.info("%s Best so far: %s.", describe(record), said or "none yet")
        self._progress.trial_done(record.number, said, note=record.origin)

    def _save_errors(self) -> tuple[str | None, ...]:
        files = self.decision.front_files
        return self.models.save_error, None if files is None else files.save_error

    def _require_open(self) -> OpenTrial:
        if self.open is None:
            raise TrialError("No trial is open.")
        return self.open


def describe(record: TrialRecord) -> str:
    """One line on a trial."""
    head = f"Trial {record.number} ({record.origin}):"
    if record.state is TrialState.FAILED:
        return f"{head} failed, {record.failure}"
    met = "meets the bound" if record.meets_bound else "misses the bound"
    again = f", same as trial {record.duplicate_of}" if record.duplicate_of else ""
    return (
        f"{head} accuracy {record.accuracy:.4f} ({met}), "
        f"latency {1e3 * (record.latency_seconds or 0.0):.2f} ms{again}."
    )
