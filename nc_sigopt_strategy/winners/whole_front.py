"""All models that no other beats in accuracy and latency at once."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.measurement.comparison import Comparison
from nc_sigopt_strategy.results.finalist import Finalist
from nc_sigopt_strategy.results.trial_history import TrialHistory
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.winners.decision import FinalTiming, Rebuild, model_of, speed_in_words
from nc_sigopt_strategy.winners.front import by_preference, pareto_front
from nc_sigopt_strategy.winners.front_files import FrontFiles
from nc_sigopt_strategy.winners.kept_models import KeptModels
from nc_sigopt_strategy.winners.verdict import is_decided

logger = logging.getLogger("nc_sigopt_strategy")


class WholeFront:
    """All models that no other beats; ``fit`` returns the one that ``by_preference`` names first.

    The front is not timed again at the end: every latency is a ratio to the same reference, and
    the sessions of a whole front side by side would take its whole memory at once. Only the model
    that is returned is timed beside FP32.

    Args:
        history: All trials.
        models: The models on the front.
        backend: Fingerprints models.
        files: The front on disk.
        final: Times the model that is returned.
        maximize: Direction of the accuracy metric.
    """

    tied: tuple[int, ...] = ()
    finalists: tuple[Finalist, ...] = ()

    def __init__(
        self,
        history: TrialHistory,
        models: KeptModels,
        backend: Backend,
        files: FrontFiles,
        final: FinalTiming,
        *,
        maximize: bool,
    ) -> None:
        self.timing: Comparison | None = None
        self._final = final
        self._history = history
        self._models = models
        self._backend = backend
        self._maximize = maximize
        self.front_files: FrontFiles | None = files
        self._files = files
        self.front: tuple[TrialRecord, ...] = ()

    def may_win(self) -> Sequence[TrialRecord]:
        """See ``Decision``."""
        return self._history.records

    def most_probable(self) -> Finalist | None:
        """See ``Decision``; on a front nobody asks."""
        return None

    def measured(self, record: TrialRecord, model: Any) -> None:
        """Keep the model and write it out if it is on the front; let go of those it beats."""
        numbers = [trial.number for trial in self._current()]
        self._models.keep(record.number, model, numbers)
        if record.number in numbers:
            self._files.save(record.number, model)
            self._files.remove_others(numbers)

    def reserved_seconds(self) -> float:
        """See ``Decision``."""
        best = by_preference(self._current())[:1]
        return self._final.seconds(best) if best else 0.0

    def so_far(self) -> str | None:
        """See ``Decision``."""
        front = self._current()
        if not front:
            return None
        fp32 = self._final.meter.fp32_seconds
        fastest, slowest = (speed_in_words(one, fp32) for one in (front[0], front[-1]))
        return (
            f"a front of {len(front)}, from {fastest} to {slowest}"
            if len(front) > 1
            else f"a front of one, {fastest}"
        )

    def decide(self, rebuild: Rebuild, *, hurried: bool = False) -> tuple[TrialRecord, Any] | None:
        """See ``Decision``."""
        winner: tuple[TrialRecord, Any] | None = None
        front = self._current()
        self.front = front
        for trial in by_preference(front):
            try:
                model = model_of(trial, self._models, self._history, self._backend, rebuild)
            except (Exception, KeyboardInterrupt) as error:
                logger.error("Trial %d's model cannot be built again: %r", trial.number, error)
                continue
            self._files.save(trial.number, model)
            winner = winner or (trial, model)
        self._files.remove_others(trial.number for trial in front)
        self.front = tuple(
            dataclasses.replace(trial, model_path=self._files.model_path(trial.number))
            for trial in front
        )
        if winner is not None:
            self._models.save(winner[1])
            self._time(*winner, hurried=hurried)
        return winner

    def _time(self, trial: TrialRecord, model: Any, *, hurried: bool) -> None:
        try:
            self.timing = self._final.meter.compare(
                {trial.number: model},
                decided=lambda timing: hurried or is_decided([trial], timing, None),
                deadline=self._final.deadline,
            )
        except (Exception, KeyboardInterrupt) as error:
            logger.error("The model was not compared with FP32 side by side: %r", error)

    def _current(self) -> tuple[TrialRecord, ...]:
        return pareto_front(self._history.records, maximize=self._maximize)
