"""What every route handler gets: the store, the sampler's name and its seed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.embedded.api_error import not_found
from nc_sigopt_strategy.embedded.documents import CLIENT_ID
from nc_sigopt_strategy.embedded.model import Experiment
from nc_sigopt_strategy.embedded.store import Store

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Engine:
    """The embedded engine behind the routes.

    Attributes:
        store: Where experiments are kept.
        sampler: Name of the sampler for experiments of type ``offline``.
        seed: Its seed; ``None`` for none.
    """

    store: Store
    sampler: str
    seed: int | None

    def experiment(self, experiment_id: str) -> tuple[int, Experiment]:
        """An experiment by its id in a path.

        Raises:
            ApiError: 404.
        """
        study_id = int(experiment_id)
        found = self.store.experiment(study_id)
        if found is None:
            raise not_found(f"No experiment {experiment_id}")
        return study_id, found


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
