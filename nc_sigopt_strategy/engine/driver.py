"""The driver that ``sigopt.Connection`` calls instead of a server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import ApiError, bad_request
from nc_sigopt_strategy.engine.context import Engine
from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.engine.database.opening import DATABASE_ERRORS, open_storage
from nc_sigopt_strategy.engine.proposal import Proposer
from nc_sigopt_strategy.engine.routes.fields import read_fields, select_fields
from nc_sigopt_strategy.engine.routes.table import find_route
from nc_sigopt_strategy.engine.store import Store
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.sampling import DEFAULT_SAMPLER, check_sampler_name


class EmbeddedDriver:
    """SigOpt's REST API in this process, over Optuna storage.

    Use it as ``sigopt.Connection(driver=lambda **_: EmbeddedDriver("sqlite:///runs.db"))``.
    Several processes may open the same storage, and threads may share a driver. Suggestions of
    one experiment are made one after the other; everything else goes on meanwhile.

    Args:
        storage: Database URL, also a parsed one; a SQLite file and its folder are created when
            missing. Or a store that is open, which is closed with the driver.
        sampler: One of ``sampling.SAMPLER_NAMES``.
        seed: With the same seed and the same history the same suggestion follows, in whatever
            process; ``None`` for another one each time.
        proposer: Who names the next assignments, instead of this sampler with this seed.
        keeps_files: Whether somebody takes the bytes of runs' files; they are refused otherwise.

    Attributes:
        storage_url: The URL without a password, for messages.

    Raises:
        StoreError: The storage cannot be opened, written or understood.
        SettingsError: There is no such sampler, or the seed is not an integer.
    """

    def __init__(
        self,
        storage: str | Location | Store,
        *,
        sampler: str = DEFAULT_SAMPLER,
        seed: int | None = None,
        proposer: Proposer | None = None,
        keeps_files: bool = False,
    ) -> None:
        check_sampler_name(sampler)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise SettingsError(f"The seed is {seed!r}.", "Give an integer or leave it out.")
        if isinstance(storage, str):
            storage = Location(storage)
        if isinstance(storage, Location):
            storage = Store(storage, open_storage(storage))
        self._store = storage
        self._engine = Engine(storage, proposer or Proposer(sampler, seed), keeps_files)
        self.storage_url = self._store.location.display

    def request(
        self,
        method: str,
        path: Sequence[str | int],
        data: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> dict[str, Any] | None:
        """Answer one request, as SigOpt's HTTP driver would.

        Args:
            method: HTTP verb.
            path: Parts of the path after ``/v1/``.
            data: Body of a POST or PUT, query of a GET or DELETE.
            headers: Not used: who can open the store may do everything.

        Returns:
            The JSON object of a successful answer. What it tells to be stored is stored.

        Raises:
            sigopt.exception.ApiException: Every refusal, with ``status_code`` and ``message``.
            StoreError: The database failed; the client wraps it into ``SigOptException``.
        """
        # Importing sigopt fails in some working directories, so it is not done at the top.
        from sigopt.exception import ApiException

        try:
            return self.answer(method, path, _plain(data))
        except ApiError as error:
            raise ApiException(error.body(), error.status) from None

    def answer(
        self, method: str, path: Sequence[str | int], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Answer one request that is plain JSON already; for an HTTP face.

        Raises:
            ApiError: Every refusal, with status and body.
            StoreError: The database failed.
        """
        self._engine.clock.seconds = 0.0
        verb = method.upper()
        handler, ids = find_route(verb, path)
        given = dict(validation.object_(data, "json"))
        validation.check_json(given)
        if verb in ("GET", "DELETE"):
            given = {key: value for key, value in given.items() if value is not None}
        fields = read_fields(given.pop("fields", None)) if verb in ("GET", "POST") else None
        try:
            return select_fields(handler(self._engine, given, *ids), fields)
        except SettingsError as error:
            # The sampler was chosen for all experiments and does not fit this one.
            raise bad_request(str(error)) from error
        except DATABASE_ERRORS as error:
            raise self._store.location.explain(error) from error

    def check(self) -> None:
        """Read something from the store.

        Raises:
            StoreError: That cannot be done.
        """
        try:
            self._store.check()
        except DATABASE_ERRORS as error:
            raise self._store.location.explain(error) from error

    @property
    def sampler_seconds(self) -> float:
        """Seconds that the last ``answer`` in this thread spent on the sampler.

        Its reading of the history is included, and the wait for suggestions of the same
        experiment that other threads had asked for before; 0.0 where no sampler was asked.
        """
        return self._engine.clock.seconds

    def close(self) -> None:
        """Close the database connections."""
        self._store.close()


def _plain(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the data would be after a trip over the wire.

    The client's own conversion is used, so that numpy numbers and the client's objects are
    accepted here exactly where the HTTP driver accepts them.
    """
    from sigopt.objects import ApiObject

    try:
        plain = json.loads(json.dumps(ApiObject.as_json(data or {})))
    except RecursionError:
        raise bad_request("The request is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise bad_request(f"The request is not JSON: {error}") from error
    return validation.object_(plain, "json")
