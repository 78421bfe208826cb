"""What every route handler gets: the store, and who names the next assignments."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from nc_sigopt_strategy.engine.api_error import not_found
from nc_sigopt_strategy.engine.documents import CLIENT_ID
from nc_sigopt_strategy.engine.proposal import Proposer
from nc_sigopt_strategy.engine.store import Store, StoredExperiment

JsonObject = dict[str, Any]


class SamplerClock(threading.local):
    """Seconds that the request of this thread has spent on the sampler."""

    seconds = 0.0


@dataclass(frozen=True)
class Engine:
    """The embedded engine behind the routes.

    Attributes:
        store: Where experiments are kept.
        proposer: Who names the next assignments.
        keeps_files: Whether somebody takes the bytes of runs' files.
        clock: How long the sampler has taken.
    """

    store: Store
    proposer: Proposer
    keeps_files: bool = False
    clock: SamplerClock = field(default_factory=SamplerClock)
    _turns: dict[int, threading.Lock] = field(default_factory=dict)

    def experiment(self, experiment_id: str) -> StoredExperiment:
        """An experiment by its id in a path.

        Raises:
            ApiError: 404.
        """
        found = self.store.experiment(int(experiment_id))
        if found is None:
            raise not_found(f"No experiment {experiment_id}")
        return found

    def turn(self, study_id: int) -> threading.Lock:
        """Held while a suggestion for this experiment is made, so that no two are the same."""
        return self._turns.setdefault(study_id, threading.Lock())


def check_client(client_id: str) -> None:
    """Refuse any client but the one there is.

    Raises:
        ApiError: 404.
    """
    if client_id != CLIENT_ID:
        raise not_found(f"No client {client_id}")


def unix_now() -> int:
    """Unix time in whole seconds, as all times in SigOpt's JSON."""
    return int(time.time())
