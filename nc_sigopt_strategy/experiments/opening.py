"""Begin an experiment or continue one: in the local store, and on a server if there is one."""

from __future__ import annotations

from nc_sigopt_strategy.client.connections import Connections
from nc_sigopt_strategy.client.projects import ensure_project
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.lease import Worker
from nc_sigopt_strategy.experiments.mirrored import MirroredExperiment
from nc_sigopt_strategy.experiments.server_suggestions import refuse_server_suggestions


def create_experiment(
    connections: Connections,
    definition: Definition,
    worker: Worker,
    *,
    server_suggests: bool = False,
) -> Experiment:
    """Create an experiment, and its copy where there is a server.

    Raises:
        ExperimentError: The server refuses it.
        ServerError: The server is asked to suggest and could not.
    """
    if definition.project_id is not None:
        ensure_project(connections.local, definition.project_id)
    server = connections.server
    if server is None:
        return Experiment.create(connections.local, definition, worker)
    if server_suggests:
        refuse_server_suggestions(definition.parameters, server_is_ours=server.is_ours)
    return MirroredExperiment.create_both(
        connections.local,
        server.connection,
        definition,
        server.address.url,
        worker,
        server_suggests=server_suggests,
    )


def join_experiment(
    connections: Connections,
    experiment_id: str,
    worker: Worker,
    *,
    server_suggests: bool = False,
) -> Experiment:
    """Continue an experiment by the id that its first run showed, or work on it with others.

    Raises:
        ExperimentError: There is none of that id.
        ServerError: The server is asked to suggest and could not.
    """
    server = connections.server
    if server is None:
        return Experiment.join(connections.local, experiment_id, worker)
    copy = Experiment.join(server.connection, experiment_id, worker)
    if server_suggests:
        refuse_server_suggestions(copy.parameters, server_is_ours=server.is_ours)
    if copy.document.project is not None:
        ensure_project(connections.local, copy.document.project)
    return MirroredExperiment.join_both(
        connections.local,
        copy,
        server.address.url,
        worker,
        server_suggests=server_suggests,
    )
