"""``Settings`` to a ``sigopt.Connection``: the embedded engine, or a SigOpt server over HTTP."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.client.server import Server, open_server
from nc_sigopt_strategy.client.sigopt_client import Connection, client_config
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.database.location import sqlite_url
from nc_sigopt_strategy.errors import SettingsError, StoreError
from nc_sigopt_strategy.sampling import DEFAULT_SAMPLER
from nc_sigopt_strategy.settings.choices import SERVER
from nc_sigopt_strategy.settings.settings import Settings


@dataclass(frozen=True)
class Connections:
    """The connections of a run.

    Attributes:
        local: To the embedded engine, always there: it suggests and keeps every trial.
        server: A SigOpt server that records the experiment too, when there is a token.
    """

    local: Any
    server: Server | None = None

    @property
    def remote(self) -> Any:
        """The connection to the server, if there is one."""
        return None if self.server is None else self.server.connection

    def describe(self) -> str:
        """Where the experiment is kept, for logs; holds no secret."""
        local = str(self.local.impl.driver.storage_url)
        return local if self.server is None else f"{self.server.address} and {local}"


def open_connections(settings: Settings, *, seed: int) -> Connections:
    """Open the local store and, with a token, the SigOpt server.

    Raises:
        StoreError: The embedded store cannot be used.
        SettingsError: The server is to suggest and there is no token, or the token would travel
            without TLS.
        ServerError: The server cannot be reached, refuses the token or answers nonsense.
    """
    token = find_token(settings)
    if token is None and settings.suggestions == SERVER:
        raise SettingsError(
            "suggestions='server' needs a SigOpt server, and there is no API token.",
            "Set sigopt_api_token (or SIGOPT_API_TOKEN), or leave suggestions out.",
        )
    server = None if token is None else open_server(token, settings)
    local = open_embedded(settings.storage, sampler=settings.sampler, seed=seed)
    return Connections(local, server)


def find_token(settings: Settings) -> str | None:
    """The API token: the settings' (environment included), else the client's config file's."""
    if settings.sigopt_api_token is not None:
        return settings.sigopt_api_token.reveal()
    token = client_config.api_token
    return token.strip() if isinstance(token, str) and token.strip() else None


def names_no_store(settings: Settings) -> bool:
    """Whether an experiment is to be continued without a word on where it is kept."""
    continued = settings.sigopt_experiment_id is not None
    return continued and settings.storage is None and find_token(settings) is None


def open_embedded(
    storage_url: str | None = None, *, sampler: str = DEFAULT_SAMPLER, seed: int | None = None
) -> Any:
    """A connection to the embedded engine on an Optuna storage.

    Args:
        storage_url: Optuna storage URL; ``None``: one SQLite file in the user's data folder.
        sampler: Name of the sampler that answers suggestion requests.
        seed: The sampler's seed.

    Raises:
        StoreError: It cannot be used, or there is no data folder.
    """
    driver = EmbeddedDriver(storage_url or default_storage_url(), sampler=sampler, seed=seed)
    return Connection(driver=lambda **_: driver)


def default_storage_url() -> str:
    """The SQLite file that experiments are kept in when no storage is given.

    Raises:
        StoreError: There is no folder for it.
    """
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    try:
        folder = Path(base).expanduser()
    except RuntimeError as error:
        raise StoreError(
            f"There is no folder for the store: HOME is not set, and user {_user()} has none.",
            "Set HOME or XDG_DATA_HOME, or name the store: storage=sqlite:///path/to/file.db.",
        ) from error
    return sqlite_url(folder.absolute() / "nc-sigopt-strategy" / "experiments.sqlite3")


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "")


def open_http(token: str, settings: Settings) -> Any:
    """A connection to a SigOpt server, after checking that it answers and knows the token.

    Raises:
        SettingsError: The token would travel without TLS.
        ServerError: The server cannot be reached, refuses the token or answers nonsense.
    """
    return open_server(token, settings).connection
