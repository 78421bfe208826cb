"""Where experiments are carried from and to: a store, or a SigOpt server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.client.connections import default_storage_url, find_token, open_embedded
from nc_sigopt_strategy.client.failures import explain
from nc_sigopt_strategy.client.server import open_server
from nc_sigopt_strategy.client.sigopt_client import SigOptException
from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.errors import SettingsError, StoreError
from nc_sigopt_strategy.settings.address import Address
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.transfer.document import ExperimentDocument
from nc_sigopt_strategy.transfer.fetching import fetch
from nc_sigopt_strategy.transfer.storing import store


@dataclass(frozen=True)
class Place:
    """A store or a server.

    Attributes:
        connection: A ``sigopt.Connection`` to it.
        ours: Whether it keeps a record beside an experiment: a store, or ``nc-sigopt serve``.
        address: The server's; ``None`` of a store.
    """

    connection: Any
    ours: bool
    address: Address | None = None

    def fetch(self, experiment_id: str) -> ExperimentDocument:
        """See ``fetching.fetch``.

        Raises:
            ServerError: The server fails.
        """
        try:
            return fetch(self.connection, experiment_id, ours=self.ours)
        except SigOptException as error:
            problem = self._explained(error)
        raise problem

    def store(self, document: ExperimentDocument, project: str, without: Sequence[str]) -> str:
        """See ``storing.store``.

        Raises:
            ServerError: The server fails.
        """
        try:
            return store(document, self.connection, project, ours=self.ours, without=without)
        except SigOptException as error:
            problem = self._explained(error)
        raise problem

    def _explained(self, error: SigOptException) -> Exception:
        """Without the request that the client's exception holds, and with it the token."""
        if self.address is None:
            return StoreError(f"The store answered: {error}.")
        return explain(self.connection, self.address, error)


def open_place(storage: str | None, server: str | None, *, project: str | None = None) -> Place:
    """Open a store or connect to a server.

    Args:
        storage: Optuna storage URL; ``None``: the file in the user's data folder.
        server: URL of a SigOpt server, which takes the place of a store.
        project: Where an experiment is going to be made; a store that is not there is made, and
            so is the project. ``None``: nothing is made.

    Raises:
        SettingsError: Both are given, there is no token, or it would travel without TLS.
        ServerError: The server cannot be reached, or refuses the token.
        StoreError: There is no such store, or it cannot be used.
    """
    if server is None:
        location = Location(storage or default_storage_url())
        if project is None and location.path is not None and not location.path.is_file():
            raise StoreError(
                f"There is no store {location.path}.",
                "Name one with --storage: a run of nc-sigopt leaves sigopt/experiments.sqlite3 in "
                "its run folder, for instance.",
            )
        return Place(open_embedded(storage), ours=True)
    if storage is not None:
        raise SettingsError(
            f"Both a store ({storage}) and a server ({server}) are named.", "Name one of them."
        )
    made = {} if project is None else {"sigopt_project_id": project}
    settings = Settings.from_kwargs({"sigopt_api_url": server, **made})
    token = find_token(settings)
    if token is None:
        raise SettingsError(
            f"There is no API token for {server}.", "Set SIGOPT_API_TOKEN in the environment."
        )
    found = open_server(token, settings, writes=project is not None)
    return Place(found.connection, found.is_ours, found.address)
