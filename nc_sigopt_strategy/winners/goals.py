"""Which models of a run are kept and which one it returns; one way for each goal."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.measurement.comparison import LATER_LOOKS, Comparison
from nc_sigopt_strategy.measurement.meter import FINALIST_ROUNDS, Meter
from nc_sigopt_strategy.results.trial_history import Latency, TrialHistory, measured_latency
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.winners.front import by_preference, pareto_front
from nc_sigopt_strategy.winners.front_files import FrontFiles
from nc_sigopt_strategy.winners.kept_models import KeptModels
from nc_sigopt_strategy.winners.verdict import choose, is_decided, ratios_of_trials

logger = logging.getLogger("nc_sigopt_strategy")

# What of the time limit is kept at most for rounds beyond the first ones, which a busy machine
# needs.
MORE_SHARE = 0.05
# Opening a session and warming a finalist up, on top of its timed runs.
FINALIST_OVERHEAD_SECONDS = 1.0

Rebuild = Callable[[Mapping[str, str]], Any]


class Decision(Protocol):
    """What a goal makes of the trials.

    Attributes:
        tied: Trial numbers whose latency could not be told from the winner's.
        timing: What timing the winner beside FP32 gave; ``None`` if that was not done.
        front: The Pareto front, where there is one.
        front_files: Its files, where there is one.
    """

    tied: tuple[int, ...]
    timing: Comparison | None
    front: tuple[TrialRecord, ...]
    front_files: FrontFiles | None

    def measured(self, record: TrialRecord, model: Any) -> None:
        """Keep the model of a new trial while it may be returned."""
        ...

    def reserved_seconds(self) -> float:
        """Time that ``decide`` will need."""
        ...

    def so_far(self) -> str | None:
        """The best so far in words; ``None`` while there is none."""
        ...

    def decide(self, rebuild: Rebuild, *, hurried: bool = False) -> tuple[TrialRecord, Any] | None:
        """The winner with its model, or ``None`` if there is none.

        Args:
            rebuild: Quantizes assignments again, for a model that an earlier process measured.
            hurried: Whether somebody waits, so that no more is timed than has to be.
        """
        ...


@dataclass(frozen=True)
class FinalTiming:
    """With what models are timed at the end, and until when.

    Attributes:
        meter: Times them.
        deadline: The meter's clock when the time is up; ``None`` if it never is.
        timeout_seconds: All the time there is; 0 without a limit.
    """

    meter: Meter
    deadline: float | None
    timeout_seconds: float

    def seconds(self, trials: Sequence[TrialRecord]) -> float:
        """Time to be kept for timing models beside FP32; in part for rounds that a busy machine
        makes necessary.
        """
        models = [measured_latency(trial) for trial in trials]
        rounds = FINALIST_ROUNDS * (sum(models) + (self.meter.fp32_seconds or 0.0))
        more = min(LATER_LOOKS[-1] * rounds, MORE_SHARE * self.timeout_seconds)
        return max(rounds, more) + FINALIST_OVERHEAD_SECONDS * (1 + len(models))


class FastestWithinBound:
    """The fastest model that meets the accuracy bound; the best few are timed side by side.

    Which those are is a matter of what the trials lead to expect: the luckiest timing of a busy
    machine says little. The default int8 model is among them wherever it met the bound.

    Args:
        history: All trials.
        models: The models that may still win.
        backend: Fingerprints models.
        final: Times the finalists.
        latency: What a trial's latency is expected to be.
        maximize: Direction of the accuracy metric.
        finalists: How many are timed side by side.
    """

    front: tuple[TrialRecord, ...] = ()
    front_files: FrontFiles | None = None

    def __init__(
        self,
        history: TrialHistory,
        models: KeptModels,
        backend: Backend,
        final: FinalTiming,
        latency: Latency,
        *,
        maximize: bool,
        finalists: int,
    ) -> None:
        self.tied: tuple[int, ...] = ()
        self.timing: Comparison | None = None
        self._history = history
        self._models = models
        self._backend = backend
        self._final = final
        self._latency = latency
        self._maximize = maximize
        self._count = finalists

    def measured(self, record: TrialRecord, model: Any) -> None:
        """Keep the model if it met the bound; write it out at once if it is the best so far."""
        if not record.meets_bound:
            return
        finalists = self._finalists()
        self._models.keep(record.number, model, (f.number for f in finalists))
        if finalists[0].number == record.number:
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
        return self._final.seconds(finalists) + again

    def so_far(self) -> str | None:
        """See ``Decision``."""
        best = next(iter(self._finalists()), None)
        if best is None or best.latency_seconds is None:
            return None
        return speed_in_words(best, self._final.meter.fp32_seconds)

    def decide(self, rebuild: Rebuild, *, hurried: bool = False) -> tuple[TrialRecord, Any] | None:
        """See ``Decision``."""
        finalists = self._finalists()
        if not finalists:
            return None
        models = {}
        for finalist in finalists:
            try:
                models[finalist.number] = model_of(
                    finalist, self._models, self._history, self._backend, rebuild
                )
            except (Exception, KeyboardInterrupt) as error:
                logger.error("Trial %d's model cannot be built again: %r", finalist.number, error)
        finalists = [f for f in finalists if f.number in models]
        if not finalists:
            return None
        default = self._history.default
        default_number = default.number if default in finalists and default is not None else None
        try:
            self.timing = self._final.meter.compare(
                models,
                decided=lambda timing: hurried or is_decided(finalists, timing, default_number),
                deadline=self._final.deadline,
            )
            ratios = self.timing.ratios
        except (Exception, KeyboardInterrupt) as error:
            # What was measured during the trials still stands.
            logger.error("The finalists were not compared side by side: %r", error)
            ratios = ratios_of_trials(finalists)
        winner, self.tied = choose(finalists, ratios, self._better, default_number)
        self._models.save(models[winner.number])
        return winner, models[winner.number]

    def _finalists(self) -> list[TrialRecord]:
        return self._history.finalists(self._count, self._latency)

    def _better(self, a: float, b: float) -> bool:
        return a > b if self._maximize else a < b


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


def model_of(
    trial: TrialRecord,
    models: KeptModels,
    history: TrialHistory,
    backend: Backend,
    rebuild: Rebuild,
) -> Any:
    """The measured model, or the same one built again where another process measured it."""
    kept = models.get(trial.number)
    if kept is not None:
        return kept
    model = rebuild(trial.assignments)
    same = history.with_graph(backend.fingerprint(model))
    if same is None or same.number != trial.number:
        logger.warning(
            "Trial %d was measured by another process, and quantizing it again gave slightly "
            "other numbers: calibration is not deterministic here.",
            trial.number,
        )
    return model


def speed_in_words(trial: TrialRecord, fp32_seconds: float | None) -> str:
    """A trial's speed and accuracy; the speed in one unit all through a run.

    Args:
        trial: A measured one.
        fp32_seconds: FP32's latency; without it the speed is a latency.
    """
    latency = measured_latency(trial)
    if fp32_seconds and latency:
        return f"{fp32_seconds / latency:.2f} times FP32 at {trial.accuracy:.4f}"
    return f"{1e3 * latency:.2f} ms at {trial.accuracy:.4f}"
