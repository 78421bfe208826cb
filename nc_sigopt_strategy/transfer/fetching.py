"""An experiment read from a store or a SigOpt server."""

from __future__ import annotations

from typing import Any

from nc_sigopt_strategy.client.sigopt_client import ApiException
from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.transfer.document import ExperimentDocument

_NOT_FOUND, _FORBIDDEN = 404, 403


def fetch(connection: Any, experiment_id: str, *, ours: bool) -> ExperimentDocument:
    """Read an experiment with all its observations; open suggestions are nobody else's.

    Args:
        connection: A ``sigopt.Connection``.
        experiment_id: Which one.
        ours: Whether the other side keeps a record beside it (a store, ``nc-sigopt serve``).

    Raises:
        ExperimentError: There is none with that id, or it may not be read.
    """
    endpoint = connection.experiments(experiment_id)
    try:
        experiment = endpoint.fetch().to_json()
    except ApiException as error:
        if error.status_code not in (_NOT_FOUND, _FORBIDDEN):
            raise
        raise ExperimentError(
            f"There is no experiment {experiment_id!r} there that may be read.",
            "`nc-sigopt experiments list` names those of a store; --storage chooses the store.",
        ) from None
    pages = endpoint.observations().fetch(limit=1000).iterate_pages()
    document = {
        "experiment": experiment,
        "observations": [observation.to_json() for observation in pages],
        "record": _record(connection, experiment_id) if ours else None,
    }
    return ExperimentDocument.from_json(document)


def _record(connection: Any, experiment_id: str) -> Any:
    path = ["experiments", experiment_id, "record"]
    return connection.impl.driver.request("GET", path, {}, None).get("record")
