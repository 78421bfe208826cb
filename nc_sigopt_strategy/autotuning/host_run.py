"""What tuning with one host came to, in one form for all hosts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.measurement.latency import WARMUP
from nc_sigopt_strategy.measurement.timed_batches import TimedBatches
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.settings.settings import Settings


@dataclass(frozen=True)
class Runtime:
    """What runs a host's models.

    Attributes:
        backend: Opens and saves them.
        fp32: The FP32 model, as the backend takes models.
        users_model: What the user's functions get for a model.
        batches: What latency is timed on; ``None`` without data.
        settings: Of the run.
    """

    backend: Backend
    fp32: Any
    users_model: Callable[[Any], Any]
    batches: TimedBatches | None
    settings: Settings

    @contextlib.contextmanager
    def timed(self, model: Any, clock: Callable[[], float]) -> Iterator[Callable[[], float]]:
        """Inside, the model is open and warm; each call runs it once and gives seconds.

        Args:
            model: As the backend takes models.
            clock: Monotonic seconds.
        """
        users_func = self.settings.latency_func
        if users_func is not None:
            users = self.users_model(model)
            yield lambda: float(users_func(users))
            return
        if self.batches is None:
            raise RuntimeError("There is neither a batch nor a latency_func to time a model with.")
        session = self.backend.open(model)
        try:
            call = self.batches.timed(session, clock)
            for _ in range(WARMUP):
                call()
            yield call
        finally:
            session.close()


@dataclass(frozen=True)
class HostRun:
    """How a run with one host ended.

    Attributes:
        host: The host's name.
        folder: Run folder.
        outcome: As it was written.
        runtime: What runs its models; ``None`` where it did not get that far.
        model: The model of ``outcome.best``, as the backend takes models.
        fp32_accuracy: What the evaluation of this host's own FP32 model returned.
        interrupted: Whether Ctrl-C ended it.
        error: What ended it before its budget was spent, if anything did.
    """

    host: str
    folder: Path
    outcome: Outcome
    runtime: Runtime | None = None
    model: Any = None
    fp32_accuracy: Any = None
    interrupted: bool = False
    error: BaseException | None = None
