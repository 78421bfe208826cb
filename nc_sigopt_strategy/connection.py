"""``Settings`` to a ``sigopt.Connection``: the embedded engine, or a SigOpt server over HTTP."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .embedded import EmbeddedDriver
from .errors import ServerError
from .sampling import DEFAULT_SAMPLER
from .settings import Settings
from .sigopt_client import (
    ApiException,
    Connection,
    SigOptException,
    client_config,
    failed_status_rate_limit,
    without_token,
)

CHECK_TIMEOUT_SECONDS = 4.0
REQUEST_TIMEOUT_SECONDS = 15.0
_WAYS_OUT = (
    "Leave sigopt_api_token (and SIGOPT_API_TOKEN) out to use the embedded engine, which needs no "
    "server, or set sigopt_api_url (or SIGOPT_API_URL) to a SigOpt server that answers."
)


@dataclass(frozen=True)
class Connections:
    """The connections of a run.

    Attributes:
        local: To the embedded engine, always there: it suggests and keeps every trial.
        remote: To a SigOpt server that records the experiment too, when there is a token.
        remote_is_ours: Whether that server is ``nc-sigopt serve``.
    """

    local: Any
    remote: Any = None
    remote_is_ours: bool = False

    @property
    def server_url(self) -> str:
        """Base URL of the SigOpt server."""
        return "" if self.remote is None else str(self.remote.impl.driver.api_url)

    def describe(self) -> str:
        """Where the experiment is kept, for logs; holds no secret."""
        local = str(self.local.impl.driver.storage_url)
        return local if self.remote is None else f"{self.server_url} and {local}"


def open_connections(settings: Settings, *, seed: int) -> Connections:
    """Open the local store and, with a token, the SigOpt server.

    Raises:
        StoreError: The embedded store cannot be used.
        ServerError: The server cannot be reached, refuses the token or answers nonsense.
    """
    token = find_token(settings)
    remote = None if token is None else open_http(token, settings)
    local = open_embedded(settings.storage, sampler=settings.sampler, seed=seed)
    return Connections(local, remote)


def find_token(settings: Settings) -> str | None:
    """The API token: the settings' (environment included), else the client's config file's."""
    if settings.sigopt_api_token is not None:
        return settings.sigopt_api_token.reveal()
    token = client_config.api_token
    return token.strip() if isinstance(token, str) and token.strip() else None


def open_embedded(
    storage_url: str | None = None, *, sampler: str = DEFAULT_SAMPLER, seed: int | None = None
) -> Any:
    """A connection to the embedded engine on an Optuna storage.

    Args:
        storage_url: Optuna storage URL; ``None``: one SQLite file in the user's data folder.
        sampler: Name of the sampler that answers suggestion requests.
        seed: The sampler's seed.
    """
    driver = EmbeddedDriver(storage_url or default_storage_url(), sampler=sampler, seed=seed)
    return Connection(driver=lambda **_: driver)


def default_storage_url() -> str:
    """The SQLite file that experiments are kept in when no storage is given."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    path = Path(base).expanduser() / "nc-sigopt-strategy" / "experiments.sqlite3"
    return f"sqlite:///{path}"


def open_http(token: str, settings: Settings) -> Any:
    """A connection to a SigOpt server, after checking that it answers and knows the token."""
    connection = Connection(
        client_token=token, api_url=settings.sigopt_api_url, timeout=CHECK_TIMEOUT_SECONDS
    )
    server = connection.impl.driver.api_url
    # The client slows down after failures of earlier, unrelated requests in this process.
    failed_status_rate_limit.clear()
    problem: ServerError | None = None
    try:
        client_id = connection.tokens("self").fetch().client
        if client_id is not None:
            connection.clients(client_id).projects(settings.sigopt_project_id).fetch()
        else:
            problem = ServerError(
                f"{server} answered, but not like a SigOpt server: its answer names no client.",
                _WAYS_OUT,
            )
    except ApiException as error:
        problem = _refused(connection, error, settings)
    except SigOptException as error:
        cause = without_token(connection, error.__cause__ or error)
        problem = ServerError(f"The SigOpt server {server} cannot be reached: {cause}.", _WAYS_OUT)
    # Raised here and not in the handlers: as its context the client's exception would hang on to
    # the request, and with it to the token.
    if problem is not None:
        raise problem
    connection.set_timeout(REQUEST_TIMEOUT_SECONDS)
    return connection


def _refused(connection: Any, error: Any, settings: Settings) -> ServerError:
    server = connection.impl.driver.api_url
    said = f"(status {error.status_code}: {without_token(connection, error.message)})"
    if error.status_code in (401, 403):
        return ServerError(
            f"The SigOpt server {server} refuses the API token {said}.",
            f"Check sigopt_api_token. {_WAYS_OUT}",
        )
    if error.status_code == 404:
        return ServerError(
            f"The SigOpt server {server} has no project {settings.sigopt_project_id!r} {said}.",
            "Create it with `sigopt create project --project "
            f"{settings.sigopt_project_id}`, or set sigopt_project_id to one that exists.",
        )
    return ServerError(f"The SigOpt server {server} failed {said}.", _WAYS_OUT)
