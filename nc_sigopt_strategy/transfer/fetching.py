"""An experiment read from a store or a SigOpt server."""

from __future__ import annotations

import json
from typing import Any

from nc_sigopt_strategy.client.pages import all_pages
from nc_sigopt_strategy.client.sigopt_client import ApiException
from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.transfer.document import ExperimentDocument

_MOVED, _NOT_FOUND, _FORBIDDEN = 301, 404, 403


def fetch(connection: Any, experiment_id: str, *, ours: bool) -> ExperimentDocument:
    """Read an experiment with all its observations or runs; open suggestions stay behind.

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
        if error.status_code == _MOVED:
            return _fetch_of_runs(connection, experiment_id, ours=ours)
        if error.status_code not in (_NOT_FOUND, _FORBIDDEN):
            raise
        raise ExperimentError(
            f"There is no experiment {experiment_id!r} there that may be read.",
            "`nc-sigopt experiments list` names those of a store; --storage chooses the store.",
        ) from None
    pages = all_pages(endpoint.observations().fetch(limit=1000))
    document = {
        "experiment": experiment,
        "observations": [observation.to_json() for observation in pages],
        "record": _record(connection, experiment_id) if ours else None,
    }
    return ExperimentDocument.from_json(document)


def _fetch_of_runs(connection: Any, experiment_id: str, *, ours: bool) -> ExperimentDocument:
    experiment = connection.aiexperiments(experiment_id).fetch().to_json()
    project = connection.clients(experiment["client"]).projects(experiment["project"])
    which = [{"field": "experiment", "operator": "==", "value": experiment_id}]
    pages = all_pages(project.training_runs().fetch(filters=json.dumps(which), limit=1000))
    document = {
        "experiment": experiment,
        "runs": [run.to_json() for run in pages],
        "record": _record(connection, experiment_id) if ours else None,
    }
    return ExperimentDocument.from_json(document)


def _record(connection: Any, experiment_id: str) -> Any:
    path = ["experiments", experiment_id, "record"]
    return connection.impl.driver.request("GET", path, {}, None).get("record")
