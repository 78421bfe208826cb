"""Which suggestion a worker opens next: one that was left, a first one, or the sampler's.

Workers share nothing but the experiment. Whoever opens a suggestion looks afterwards which others
are open: if an earlier one has the same assignments, or the budget is used up by those before it,
it takes its own back.
"""

from __future__ import annotations

from collections.abc import Mapping

from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.lease import Standing, Worker
from nc_sigopt_strategy.experiments.suggestion import RECLAIMS, Suggestion
from nc_sigopt_strategy.results.trial_history import TrialHistory
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.space.assignments import AssignmentsKey, assignments_key
from nc_sigopt_strategy.tuning.first_suggestions import InitialSuggestions


class TrialSource:
    """Opens the suggestions of one worker.

    Args:
        experiment: Where they are opened.
        history: All trials; those of other workers are added to it.
        seeds: What to try before the engine is asked.
        sampler: The engine's sampler, for the record.
        worker: Who asks.
    """

    def __init__(
        self,
        experiment: Experiment,
        history: TrialHistory,
        seeds: InitialSuggestions,
        sampler: str,
        worker: Worker,
    ) -> None:
        self._experiment = experiment
        self._history = history
        self._seeds = seeds
        self._sampler = sampler
        self._worker = worker
        # Left by an earlier process, whoever's; read once where nobody else is at work.
        self._left: list[Suggestion] | None = None
        self._others: list[Suggestion] = []

    @property
    def others(self) -> int:
        """Suggestions that other workers are measuring, as of the last ``look_around``."""
        return len(self._others)

    def look_around(self) -> None:
        """Learn what other workers have observed and what they are at."""
        self._learn()
        # Whether somebody else is at work can be told only by looking again.
        if self._left is None or self._others or self._experiment.is_shared:
            self._left, self._others = [], []
            for trial in self._experiment.open_suggestions():
                alive = self._worker.standing(trial.lease) is Standing.ALIVE
                (self._others if alive else self._left).append(trial)

    def open_next(self, max_trials: int, *, first: bool) -> Suggestion | None:
        """Open a suggestion.

        Args:
            max_trials: Observations that the experiment may have.
            first: Whether nobody may be at work before it, because it is the one that all
                latencies will be compared with.

        Returns:
            The suggestion; with more ``reruns`` than there were if a process died with it.
            ``None`` if it had to give way to another worker's: look around and try again.
        """
        trial = self._taken_up() or self._new()
        if not self._experiment.is_shared:
            return trial
        known = self._history.with_assignments(trial.assignments)
        place = self._experiment.place_of(trial)
        if place.observed > len(self._history.records):
            self._learn()
        too_late = known is None and self._history.with_assignments(trial.assignments) is not None
        observed = max(place.observed, len(self._history.records))
        spent = observed + place.ahead >= max_trials
        if place.taken or too_late or spent or (first and place.ahead):
            self._experiment.withdraw(trial)
            return None
        return trial

    def _learn(self) -> None:
        for record, fingerprint in self._experiment.news(self._history.observation_ids):
            self._history.merge(record, fingerprint)

    def _taken_up(self) -> Suggestion | None:
        while self._left:
            left = self._left.pop(0)
            if self._worker.standing(left.lease) is Standing.MINE:
                return self._experiment.take_over(left)
            if self._experiment.reclaim(left):
                return self._experiment.suggest(
                    self._next_number,
                    assignments=left.assignments,
                    origin=left.origin,
                    reruns=left.reruns + 1,
                    metadata={RECLAIMS: left.suggestion_id},
                )
        return None

    def _new(self) -> Suggestion:
        seed = self._seeds.next(self._tried())
        if seed is None:
            return self._experiment.suggest(self._next_number, origin=f"sampler: {self._sampler}")
        name, assignments = seed
        return self._experiment.suggest(
            self._next_number, assignments=assignments, origin=f"seed: {name}"
        )

    def _tried(self) -> Mapping[AssignmentsKey, TrialRecord]:
        """Trials by assignments; what others are measuring counts as a trial without a result."""
        measuring = {
            assignments_key(trial.assignments): TrialRecord(trial.number, TrialState.OBSERVED)
            for trial in self._others
        }
        return {**measuring, **self._history.by_assignments}

    @property
    def _next_number(self) -> int:
        return 1 + max((record.number for record in self._history.records), default=0)
