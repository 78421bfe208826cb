"""Begin an experiment or continue one: in the local store, and on a server if there is one."""

from __future__ import annotations

from typing import Any

from .connection import Connections
from .experiment import Definition, Experiment
from .mirrored_experiment import MirroredExperiment
from .sigopt_client import ApiException


def create_experiment(connections: Connections, definition: Definition) -> Experiment:
    """Create an experiment, and its copy where there is a server.

    Raises:
        ExperimentError: The server refuses it.
    """
    if definition.project_id is not None:
        ensure_project(connections.local, definition.project_id)
    if connections.remote is None:
        return Experiment.create(connections.local, definition)
    return MirroredExperiment.create_both(
        connections.local, connections.remote, definition, connections.server_url
    )


def join_experiment(connections: Connections, experiment_id: str) -> Experiment:
    """Continue an experiment by the id that its first run showed.

    Raises:
        ExperimentError: There is none of that id, or it was begun elsewhere.
    """
    if connections.remote is None:
        return Experiment.join(connections.local, experiment_id)
    return MirroredExperiment.join_both(
        connections.local, connections.remote, experiment_id, connections.server_url
    )


def ensure_project(connection: Any, project_id: str) -> None:
    """Create the project in the embedded engine if it is not there yet."""
    client = connection.clients(connection.tokens("self").fetch().client)
    try:
        client.projects(project_id).fetch()
    except ApiException as error:
        if error.status_code != 404:
            raise
        try:
            client.projects().create(id=project_id, name=project_id)
        except ApiException as conflict:
            # Another process may have created it in between.
            if conflict.status_code != 409:
                raise
