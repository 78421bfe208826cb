"""One run of the suggestion loop: which suggestion comes next, and when it is enough."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator

from nc_sigopt_strategy.client.sigopt_client import SigOptException
from nc_sigopt_strategy.console.progress import TuningProgress
from nc_sigopt_strategy.errors import SuggestionLostError, named
from nc_sigopt_strategy.experiments.lease import RENEWALS_PER_LEASE, LeaseKeeper
from nc_sigopt_strategy.experiments.suggestion import Suggestion
from nc_sigopt_strategy.results.trial_history import TrialHistory, is_faster
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.settings.choices import PARETO
from nc_sigopt_strategy.space.ops import PRECISIONS
from nc_sigopt_strategy.tuning.as_ran import AsRan
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.failures import Failures
from nc_sigopt_strategy.tuning.first_suggestions import InitialSuggestions
from nc_sigopt_strategy.tuning.interrupts import INTERRUPTED, InterruptWatch
from nc_sigopt_strategy.tuning.one_trial import OneTrial, Tools
from nc_sigopt_strategy.tuning.patience import Patience
from nc_sigopt_strategy.tuning.probing import Prober, ProbingTools
from nc_sigopt_strategy.tuning.run_folder import announce
from nc_sigopt_strategy.tuning.start import Start
from nc_sigopt_strategy.tuning.trial_source import TrialSource
from nc_sigopt_strategy.winners.decision import Decision, FinalTiming
from nc_sigopt_strategy.winners.expectation import Expectation
from nc_sigopt_strategy.winners.front_files import FrontFiles
from nc_sigopt_strategy.winners.kept_models import KeptModels
from nc_sigopt_strategy.winners.whole_front import WholeFront
from nc_sigopt_strategy.winners.within_bound import FastestWithinBound, Rules

logger = logging.getLogger("nc_sigopt_strategy")

FP32 = PRECISIONS[-1]
# How often a suggestion is run again after the process died with it, before it counts as failed.
RERUNS = 1
# How often a worker that has nothing to do looks whether others have got further.
_POLL_SECONDS = 0.5


class Run:
    """The state of a run.

    Args:
        start: What its trials rest on.
        budget: When to stop.
        progress: Live progress.
        interrupts: Holds back Ctrl-C while an observation is stored.

    Attributes:
        start: As given.
        budget: As given.
        space: The search space.
        history: All trials of the experiment.
        models: Those that may still win.
        expectation: What the trials so far lead to expect.
        decision: What the goal makes of the trials.
        stop_reason: Why no further trial started; empty while there may be one.
    """

    def __init__(
        self,
        start: Start,
        budget: Budget,
        progress: TuningProgress,
        interrupts: InterruptWatch,
    ) -> None:
        preparation = start.preparation
        settings, worker = preparation.settings, preparation.workplace.worker
        self.start = start
        self.budget = budget
        self.space = preparation.space
        self.stop_reason = ""
        self.history = TrialHistory(self.space.default, start.experiment.trials())
        self.models = KeptModels(preparation.host.backend, preparation.folder)
        self._prober = Prober(ProbingTools(start, self.history, budget, progress, interrupts))
        self.expectation = Expectation(
            self.history,
            self.space.parameters,
            lambda: start.experiment.read_record().op_graph,
            start.baseline.bound,
            self._prober.found,
        )
        self.decision = self._decision()
        self._patience = Patience(settings, self.history, self.expectation, self._is_satisfied)
        self._progress = progress
        self._interrupts = interrupts
        self._machine = preparation.workplace.machine
        self._tools = Tools(
            start,
            self.history,
            budget,
            interrupts,
            self._observe,
            self.decision.measured,
            AsRan(preparation.host.backend),
        )
        self._failures = Failures()
        self._open: OneTrial | None = None
        self._trial_seconds: list[float] = []
        self._first = first = InitialSuggestions(
            self.space.parameters,
            self.space.default,
            whole_front=settings.goal == PARETO,
            native_float=preparation.host.backend.native_float,
        )
        self._source = TrialSource(start.experiment, self.history, first, settings.sampler, worker)
        self._lease = LeaseKeeper(
            start.experiment.renew, worker.lease_seconds / RENEWALS_PER_LEASE
        )

    def suggestions(self) -> Iterator[Suggestion]:
        """Open one suggestion after the other that has to be quantized, until it is enough.

        Each must be ended, within ``trial``, before the next is asked for. Those whose assignments
        were measured before are observed on the way.
        """
        while True:
            self._interrupts.check()
            suggestion = self._next()
            if suggestion is None:
                return
            yield suggestion

    @contextlib.contextmanager
    def trial(self, suggestion: Suggestion) -> Iterator[OneTrial]:
        """Inside, a suggestion is quantized and measured; it is observed whatever happens.

        Args:
            suggestion: The one that ``suggestions`` gave last.
        """
        trial = self._open
        if trial is None:
            raise RuntimeError(f"Suggestion {suggestion.suggestion_id} is not open.")
        try:
            yield trial
        except (Exception, SystemExit) as error:
            if self._open is None:
                raise
            if self._interrupts.fired:
                # What looks like a failure may be a Ctrl-C that somebody caught and stumbled over.
                self._close_interrupted(trial)
                raise KeyboardInterrupt from error
            reason = self.start.preparation.host.reason(error)
            trial.failed(self._failures.explained(error, reason))
        except BaseException:
            self._close_interrupted(trial)
            raise

    def is_quantized(self, trial: TrialRecord) -> bool:
        """Whether any op runs in less than FP32 in a trial's model."""
        labels = self.space.decode(trial.assignments).labels.values()
        return any(label != FP32 for label in labels)

    def is_success(self, trial: TrialRecord) -> bool:
        """Whether a trial gave what is searched for.

        A model that meets the bound, is quantized, and is faster than FP32 beyond the noise.
        """
        meter = self.start.meter
        if not trial.meets_bound or not self.is_quantized(trial):
            return False
        return meter.fp32_seconds is None or is_faster(
            trial, meter.fp32_seconds, meter.fp32_stderr
        )

    def close(self, flush_seconds: float) -> None:
        """Tell a server what it missed; release the meter and the models that did not win.

        Args:
            flush_seconds: How long a server that was away is waited for.
        """
        self._lease.close()
        self._machine.give()
        self.start.experiment.flush(flush_seconds)
        self.start.meter.close()
        self.models.clear()

    @property
    def crash(self) -> str | None:
        """The traceback through the user's code, where its failures ended the run."""
        return self._failures.crash

    def save_errors(self) -> list[str]:
        """What could not be written of the models, in words."""
        files = self.decision.front_files
        problems = (self.models.save_error, None if files is None else files.save_error)
        return [problem for problem in problems if problem is not None]

    def _decision(self) -> Decision:
        preparation, bound = self.start.preparation, self.start.baseline.bound
        backend = preparation.host.backend
        final = FinalTiming(self.start.meter, self.budget.deadline, self.budget.timeout_seconds)
        if preparation.settings.goal == PARETO:
            files = FrontFiles(backend, preparation.folder)
            return WholeFront(
                self.history, self.models, backend, files, final, maximize=bound.maximize
            )
        rules = Rules(
            self.expectation.latency,
            self.expectation.odds,
            confidence=preparation.settings.bound_confidence,
            finalists=preparation.settings.finalists,
            maximize=bound.maximize,
            baseline=bound.baseline_scalar,
            confirmation=self.start.confirmation,
        )
        return FastestWithinBound(self.history, self.models, backend, final, rules)

    def _next(self) -> Suggestion | None:
        while True:
            started = self.budget.elapsed_seconds
            waited = self._machine.take(self._interrupts.check)
            asked = self.budget.elapsed_seconds
            self._source.look_around()
            self.stop_reason = self._why_stop() or ""
            if self.stop_reason:
                self._machine.give()
                return None
            if not self._may_start():
                self._machine.give()
                self._interrupts.check()
                time.sleep(_POLL_SECONDS)
                continue
            self._prober.probe_if_worth()
            self._first.probed = self._prober.has_told_enough()
            first = not self.start.reference.is_fixed
            suggestion = self._source.open_next(self.budget.max_trials, first=first)
            if suggestion is None:
                continue
            self._lease.hold(suggestion.suggestion_id)
            trial = OneTrial(suggestion, self._tools, started)
            self._open = trial
            if waited:
                trial.phase("wait", waited)
            trial.phase("suggest", self.budget.elapsed_seconds - asked)
            same = self.history.with_assignments(suggestion.assignments)
            if suggestion.reruns > RERUNS:
                trial.failed("The process died twice while this configuration was tried.")
            elif same is not None:
                trial.repeat(same)
            else:
                return suggestion

    def _why_stop(self) -> str | None:
        reason = self.budget.stop_reason(
            trials=len(self.history.records),
            found=self._is_satisfied(),
            trial_seconds=self._trial_seconds,
            reserved_seconds=self.decision.reserved_seconds(),
            failures_in_a_row=self.history.failures_in_a_row,
        )
        reason = self._failures.stop_reason or reason
        if reason is None and len(self.history.by_assignments) >= self.space.size:
            return f"All {self.space.size} configurations have been tried."
        if reason is None and self._first.next(self.history.by_assignments) is None:
            return self._patience.stop_reason()
        return reason

    def _is_satisfied(self) -> bool:
        return any(self.is_success(trial) for trial in self.decision.may_win())

    def _may_start(self) -> bool:
        """Whether there is a trial for this worker.

        The last trials of the budget may be with others. They are waited for: if one of those
        dies, its trial falls to this worker, and the decision is made among all trials.
        """
        if len(self.history.records) + self._source.others >= self.budget.max_trials:
            return False
        # Latencies need a reference; without one and with nobody at it, it falls to this worker.
        if self.start.reference.is_fixed or not self.start.experiment.is_shared:
            return True
        return self.start.reference.restore() or self._source.others == 0

    def _close_interrupted(self, trial: OneTrial) -> None:
        if self._open is None:
            return
        try:
            trial.failed(INTERRUPTED, interrupted=True)
        except Exception as error:
            # A store that is gone must not cost the best model too.
            logger.error("The open trial could not be closed: %s", named(error))

    def _observe(self, record: TrialRecord, fingerprint: str | None) -> TrialRecord:
        """Store a record; without an observation id if another worker took its trial over."""
        begun = self.budget.elapsed_seconds
        self._lease.let_go()
        # An interrupt in between would close a suggestion that has its observation already.
        with self._interrupts.held():
            try:
                observation_id = self.start.experiment.observe(record, fingerprint)
            except SuggestionLostError as error:
                logger.warning("%s What was measured is dropped.", error)
                self._open = None
                return record
            except SigOptException:
                # The store does not take it (it is full, the experiment was archived), which ends
                # the run. It was measured all the same, so this run decides with it.
                self._open = None
                self.history.add(record, fingerprint)
                raise
            finally:
                self._machine.give()
            self._open = None
            observing = self.budget.elapsed_seconds - begun
            record = dataclasses.replace(
                record,
                phase_seconds={**record.phase_seconds, "observe": observing},
                observation_id=observation_id,
            )
            self.history.add(record, fingerprint)
        if record.duplicate_of is None and record.state is TrialState.OBSERVED:
            self._failures.worked()
            self._trial_seconds.append(record.ended_seconds - record.started_seconds)
        self._report(record)
        return record

    def _report(self, record: TrialRecord) -> None:
        said = self.decision.so_far()
        logger.info("%s Best so far: %s.", record.in_words(), said or "none yet")
        self._progress.trial_done(record.number, said, note=record.origin)
        if record.number == 1 and record.accuracy is not None:
            announce(self.budget, record, self.start.preparation.settings.goal)
