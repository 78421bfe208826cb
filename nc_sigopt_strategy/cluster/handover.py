"""What a worker's process gets in its environment and nobody else is to see."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.settings.secret import REDACTED

TOKEN_VARIABLE = "SIGOPT_API_TOKEN"
# Not the variable of nc-sigopt serve: a server on the same machine has a store of its own.
STORAGE_VARIABLE = "NC_SIGOPT_WORKER_STORAGE"
# Where these are set for the driver they hold for the workers too: a worker that saw other files
# or computed with other kernels would work on another experiment.
_PASSED_ON = (
    "SIGOPT_API_URL",
    "SIGOPT_PROJECT",
    "NC_SIGOPT_ASSETS",
    "TF_ENABLE_ONEDNN_OPTS",
    "OMP_NUM_THREADS",
)


class Handover:
    """Environment variables for a worker's process.

    ``Secret`` must not be used to send a value: its pickle holds none. This one's pickle does, so
    it is handed over in a call of an actor's method. That goes straight from process to process;
    arguments of an actor's constructor are kept by Ray's control service, and the variables of a
    runtime environment are shown in its dashboard.
    """

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    def reveal(self) -> dict[str, str]:
        """The variables; call it only where a process is started."""
        return dict(self._variables)

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __reduce__(self) -> tuple[type[Handover], tuple[dict[str, str]]]:
        return (Handover, (self._variables,))


def handover_for(strategy_kwargs: Mapping[str, Any], storage: str | None) -> Handover:
    """What this process knows and its workers need.

    Args:
        strategy_kwargs: Of the sigopt strategy that runs.
        storage: Storage URL that takes precedence over the strategy's.
    """
    # Not at the top: actors import this module and need no engine.
    from nc_sigopt_strategy.client.connections import find_token
    from nc_sigopt_strategy.settings.settings import Settings

    variables = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
    token = find_token(Settings.from_kwargs(strategy_kwargs))
    if token is not None:
        variables[TOKEN_VARIABLE] = token
    if storage is not None:
        variables[STORAGE_VARIABLE] = storage
    return Handover(variables)
