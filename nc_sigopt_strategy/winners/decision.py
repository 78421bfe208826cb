"""What every goal makes of the trials, and what it takes to time and rebuild their models."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.measurement.comparison import LATER_LOOKS, Comparison
from nc_sigopt_strategy.measurement.meter import FINALIST_ROUNDS, Meter
from nc_sigopt_strategy.results.finalist import Finalist
from nc_sigopt_strategy.results.trial_history import TrialHistory, measured_latency
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.winners.front_files import FrontFiles
from nc_sigopt_strategy.winners.kept_models import KeptModels

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
        finalists: What was found out of the models that were looked at at the end, with a bound.
    """

    tied: tuple[int, ...]
    timing: Comparison | None
    front: tuple[TrialRecord, ...]
    front_files: FrontFiles | None
    finalists: tuple[Finalist, ...]

    def may_win(self) -> Sequence[TrialRecord]:
        """The trials whose models may be returned."""
        ...

    def most_probable(self) -> Finalist | None:
        """Of all trials that met the bound the one that most probably keeps it.

        ``None`` while one may win.
        """
        ...

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

    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.deadline is not None and self.meter.clock() >= self.deadline

    def seconds(self, trials: Sequence[TrialRecord]) -> float:
        """Time to be kept for timing models beside FP32; in part for rounds that a busy machine
        makes necessary.
        """
        models = [measured_latency(trial) for trial in trials]
        rounds = FINALIST_ROUNDS * (sum(models) + (self.meter.fp32_seconds or 0.0))
        more = min(LATER_LOOKS[-1] * rounds, MORE_SHARE * self.timeout_seconds)
        return max(rounds, more) + FINALIST_OVERHEAD_SECONDS * (1 + len(models))


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
