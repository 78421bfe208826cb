"""The fastest model within an accuracy bound: who may win, and who does."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.measurement.comparison import Comparison
from nc_sigopt_strategy.measurement.paired import difference_from_fp32
from nc_sigopt_strategy.results.finalist import Finalist
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.trial_history import Latency, TrialHistory
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.winners.bound_odds import Odds, may_win
from nc_sigopt_strategy.winners.confirmation import Confirmation, Confirmed
from nc_sigopt_strategy.winners.decision import FinalTiming, Rebuild, model_of, speed_in_words
from nc_sigopt_strategy.winners.front_files import FrontFiles
from nc_sigopt_strategy.winners.kept_models import KeptModels
from nc_sigopt_strategy.winners.verdict import Ratios, choose, is_decided, ratios_of_trials

logger = logging.getLogger("nc_sigopt_strategy")


@dataclass(frozen=True)
class Rules:
    """Who may win within a bound.

    Attributes:
        latency: What a trial's latency is expected to be.
        odds: Says how probable it is by now that trials' models keep the bound.
        confidence: How probable that has to be.
        finalists: How many are timed side by side.
        maximize: Direction of the accuracy metric.
        baseline: FP32's accuracy.
        confirmation: Has the last word on a finalist's accuracy, if the user wants one.
    """

    latency: Latency
    odds: Callable[[], Odds]
    confidence: float
    finalists: int
    maximize: bool
    baseline: float
    confirmation: Confirmation | None = None


class FastestWithinBound:
    """The fastest model that meets the accuracy bound; the best few are timed side by side.

    Which those are is a matter of what the trials lead to expect: the luckiest timing of a busy
    machine says little, and neither does the luckiest accuracy. The default int8 model is among
    them wherever it may win.

    Args:
        history: All trials.
        models: The models that may still win.
        backend: Fingerprints models.
        final: Times the finalists.
        rules: Who may win.
    """

    front: tuple[TrialRecord, ...] = ()
    front_files: FrontFiles | None = None

    def __init__(
        self,
        history: TrialHistory,
        models: KeptModels,
        backend: Backend,
        final: FinalTiming,
        rules: Rules,
    ) -> None:
        self.tied: tuple[int, ...] = ()
        self.finalists: tuple[Finalist, ...] = ()
        self.timing: Comparison | None = None
        self._history = history
        self._models = models
        self._backend = backend
        self._final = final
        self._rules = rules
        self._passed_over: set[int] = set()

    def may_win(self) -> list[TrialRecord]:
        """See ``Decision``."""
        rules = self._rules
        found = may_win(self._history.records, rules.odds(), rules.confidence)
        return [trial for trial in found if trial.number not in self._passed_over]

    def most_probable(self) -> Finalist | None:
        """See ``Decision``."""
        if self.may_win():
            return None
        met = [
            self._looked_at(trial)
            for trial in self._history.records
            if trial.meets_bound and trial.duplicate_of is None
        ]
        return max(met, key=lambda one: one.bound_probability or 0.0, default=None)

    def measured(self, record: TrialRecord, model: Any) -> None:
        """Keep the model if it met the bound; write it out at once if it is the best so far."""
        if not record.meets_bound:
            return
        finalists = self._finalists()
        self._models.keep(record.number, model, (f.number for f in finalists))
        if finalists and finalists[0].number == record.number:
            self._models.save(model)

    def reserved_seconds(self) -> float:
        """See ``Decision``."""
        finalists = self._finalists()
        if not finalists:
            return 0.0
        again = sum(
            finalist.phase_seconds.get("quantize", 0.0)
            for finalist in finalists
            if self._models.get(finalist.number) is None
        )
        confirmation = self._rules.confirmation
        confirming = 0.0 if confirmation is None else confirmation.seconds * len(finalists)
        return self._final.seconds(finalists) + again + confirming

    def so_far(self) -> str | None:
        """See ``Decision``."""
        best = next(iter(self._finalists()), None)
        if best is None or best.latency_seconds is None:
            return None
        return speed_in_words(best, self._final.meter.fp32_seconds)

    def decide(self, rebuild: Rebuild, *, hurried: bool = False) -> tuple[TrialRecord, Any] | None:
        """See ``Decision``."""
        while finalists := self._finalists():
            models = self._models_of(finalists, rebuild)
            finalists = [f for f in finalists if f.number in models]
            if not finalists:
                return None
            winner = self._winner(finalists, models, hurried=hurried)
            if winner is not None:
                self._models.save(models[winner.number])
                return winner, models[winner.number]
            if hurried or self._final.is_over():
                logger.warning("There is no time left for further finalists.")
                return None
        return None

    def _models_of(self, finalists: Sequence[TrialRecord], rebuild: Rebuild) -> dict[int, Any]:
        models = {}
        for finalist in finalists:
            try:
                models[finalist.number] = model_of(
                    finalist, self._models, self._history, self._backend, rebuild
                )
            except (Exception, KeyboardInterrupt) as error:
                logger.error("Trial %d's model cannot be built again: %r", finalist.number, error)
        return models

    def _winner(
        self, finalists: Sequence[TrialRecord], models: Mapping[int, Any], *, hurried: bool
    ) -> TrialRecord | None:
        """Time finalists side by side; the first that ``choose`` names and is not objected to."""
        default = self._history.default
        number = default.number if default in finalists and default is not None else None
        ratios = self._timed(finalists, models, number, hurried=hurried)
        left, found = list(finalists), {f.number: self._looked_at(f) for f in finalists}
        winner: TrialRecord | None = None
        while left and winner is None:
            among = number if any(f.number == number for f in left) else None
            first, self.tied = choose(left, ratios, self._better, among)
            said = self._confirmed(models[first.number])
            found[first.number] = dataclasses.replace(
                found[first.number],
                confirmed_accuracy=said.accuracy,
                passed_over=said.objection,
            )
            if not said.objection:
                winner = first
                continue
            logger.info("Trial %d is passed over: %s.", first.number, said.objection)
            self._passed_over.add(first.number)
            left.remove(first)
        self.finalists += tuple(found.values())
        return winner

    def _timed(
        self,
        finalists: Sequence[TrialRecord],
        models: Mapping[int, Any],
        default: int | None,
        *,
        hurried: bool,
    ) -> Ratios:
        self.timing = None
        try:
            self.timing = self._final.meter.compare(
                models,
                decided=lambda timing: hurried or is_decided(finalists, timing, default),
                deadline=self._final.deadline,
            )
        except (Exception, KeyboardInterrupt) as error:
            # What was measured during the trials still stands.
            logger.error("The finalists were not compared side by side: %r", error)
            return ratios_of_trials(finalists)
        return self.timing.ratios

    def _confirmed(self, model: Any) -> Confirmed:
        confirmation = self._rules.confirmation
        return Confirmed(None) if confirmation is None else confirmation.of(model)

    def _looked_at(self, trial: TrialRecord) -> Finalist:
        odds = self._rules.odds().get(trial.number)
        speedups = {} if self.timing is None else self.timing.speedups
        estimate = speedups.get(trial.number)
        return Finalist(
            trial.number,
            trial.accuracy,
            trial.latency_seconds,
            None if estimate is None else Interval(estimate.ratio, estimate.low, estimate.high),
            None if odds is None else odds.probability,
            None if odds is None else odds.data_to_settle,
            difference_from_fp32(trial, self._rules.baseline),
            None if trial.paired is None else trial.paired.inputs,
        )

    def _finalists(self) -> list[TrialRecord]:
        rules = self._rules
        return self._history.finalists(rules.finalists, rules.latency, self.may_win())

    def _better(self, a: float, b: float) -> bool:
        return a > b if self._rules.maximize else a < b
