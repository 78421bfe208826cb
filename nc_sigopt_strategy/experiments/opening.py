"""Begin an experiment or continue one: in the local store, and on a server if there is one."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.client.connections import Connections
from nc_sigopt_strategy.client.pages import all_pages
from nc_sigopt_strategy.client.projects import ensure_project
from nc_sigopt_strategy.client.server import Server
from nc_sigopt_strategy.client.sigopt_client import SigOptException, quoted
from nc_sigopt_strategy.errors import ExperimentError, ServerError
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.documents import plain_metadata
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.lease import Lease, Standing, Worker
from nc_sigopt_strategy.experiments.mirrored import MirroredExperiment
from nc_sigopt_strategy.experiments.sigopt_experiment import SigOptExperiment
from nc_sigopt_strategy.results.metric_names import ACCURACY, LATENCY

# A SigOpt server builds all combinations of an all-categorical experiment for each suggestion;
# around this many it still answers.
MAX_COMBINATIONS = 100_000
# Metadata that ties a local experiment to its copy on a server.
_URL, _ID, _WORKER = "server_url", "server_experiment", "server_worker"


def create_experiment(
    connections: Connections,
    definition: Definition,
    worker: Worker,
    *,
    server_suggests: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Experiment:
    """Create an experiment, and its copy where there is a server.

    Args:
        connections: To the local store, and to the server if there is one.
        definition: What the experiment is made of.
        worker: Who works on it.
        server_suggests: Whether the server's engine is asked for assignments.
        clock: Seconds that only grow; a server that fails is left alone for some.

    Raises:
        ExperimentError: The server refuses it.
        ServerError: The server is asked to suggest and could not.
    """
    local, server = connections.local, connections.server
    if definition.project_id is not None:
        ensure_project(local, definition.project_id)
    if server is None:
        return create_on(local, definition, worker)
    if server_suggests:
        refuse_server_suggestions(definition.parameters, server_is_ours=server.is_ours)
    copy = create_on(server.connection, definition, worker)
    link = _link(server, copy.id, worker)
    own = create_on(local, dataclasses.replace(definition, metadata=link), worker)
    return MirroredExperiment(own, copy, server_suggests=server_suggests, clock=clock)


def join_experiment(
    connections: Connections,
    experiment_id: str,
    worker: Worker,
    *,
    server_suggests: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Experiment:
    """Continue an experiment by the id that its first run showed, or work on it with others.

    On a server it goes on with what this worker's local store has of it.

    Args:
        connections: As for ``create_experiment``.
        experiment_id: Its id on the server, or without one in the local store.
        worker: As for ``create_experiment``.
        server_suggests: As for ``create_experiment``.
        clock: As for ``create_experiment``.

    Raises:
        ExperimentError: There is none of that id.
        ServerError: The server is asked to suggest and could not.
    """
    local, server = connections.local, connections.server
    if server is None:
        return join_on(local, experiment_id, worker)
    copy = join_on(server.connection, experiment_id, worker)
    if server_suggests:
        refuse_server_suggestions(copy.parameters, server_is_ours=server.is_ours)
    if copy.document.project is not None:
        ensure_project(local, copy.document.project)
    own = _linked(local, server, copy, worker)
    return MirroredExperiment(own, copy, server_suggests=server_suggests, clock=clock)


def twin_at_work(connections: Connections, experiment_id: str, worker: Worker) -> Lease | None:
    """What another process holds that works on an experiment under a worker's name.

    One that is between two suggestions is not seen. Then both keep the name, and each leaves alone
    what the other measures all the same.

    Args:
        connections: As for ``create_experiment``.
        experiment_id: As for ``join_experiment``.
        worker: Who is about to join.

    Raises:
        ExperimentError: There is none of that id.
    """
    experiment = join_on(connections.remote or connections.local, experiment_id, worker)
    try:
        held = [suggestion.lease for suggestion in experiment.open_suggestions()]
    except SigOptException:  # whoever joins says what is wrong, or waits until it is mended
        return None
    for lease in filter(None, held):
        others = lease.worker == worker.name and worker.standing(lease) is not Standing.MINE
        if others and not lease.has_run_out:
            return lease
    return None


def create_on(
    connection: Any, definition: Definition, worker: Worker | None = None
) -> SigOptExperiment:
    """Create an experiment on one connection, and keep its record.

    Raises:
        ExperimentError: The server refuses it, for instance because the project is unknown.
    """
    document, problem = _ask(
        connection, lambda: connection.experiments().create(**definition.to_request())
    )
    if problem is None and document.id is None:
        problem = "the answer names no id"
    if problem is not None:
        raise ExperimentError(f"The experiment cannot be created: {problem}.")
    experiment = SigOptExperiment(connection, document, worker)
    _, problem = _ask(connection, lambda: experiment.write_record(definition.record))
    if problem is not None:
        raise ExperimentError(f"The experiment's record cannot be kept: {problem}.")
    return experiment


def join_on(connection: Any, experiment_id: str, worker: Worker | None = None) -> SigOptExperiment:
    """Continue an experiment of one connection.

    Raises:
        ExperimentError: There is none of that id, or it was not made by this strategy.
    """
    document, problem = _ask(connection, lambda: connection.experiments(experiment_id).fetch())
    if problem is None and document.id is None:
        problem = "the answer is not that of a SigOpt server"
    if problem is not None:
        raise ExperimentError(
            f"There is no experiment {experiment_id!r} here ({problem}).",
            "`nc-sigopt experiments list` shows those of the embedded engine. To name a new "
            "experiment use sigopt_experiment_name.",
        )
    names = {metric.name for metric in document.metrics}
    if not {ACCURACY, LATENCY} <= names:
        raise ExperimentError(
            f"Experiment {experiment_id} was not made by this strategy: its metrics are "
            f"{', '.join(sorted(str(name) for name in names))}.",
            "Leave sigopt_experiment_id out to create a new one.",
        )
    return SigOptExperiment(connection, document, worker)


def list_experiments(connection: Any) -> Iterator[Any]:
    """All active experiments of a connection, newest first."""
    yield from all_pages(connection.experiments().fetch())


def refuse_server_suggestions(
    parameters: Mapping[str, Sequence[str]], *, server_is_ours: bool
) -> None:
    """Refuse to ask a SigOpt server for suggestions that it would never finish.

    Args:
        parameters: Parameter name to its values; all are categorical.
        server_is_ours: Whether ``nc-sigopt serve`` answers, which builds no such product.

    Raises:
        ServerError: It would hang.
    """
    combinations = math.prod(len(values) for values in parameters.values())
    if server_is_ours or combinations <= MAX_COMBINATIONS:
        return
    raise ServerError(
        f"suggestions='server' would hang this server: the experiment has {len(parameters)} "
        f"categorical parameters with {combinations:.3g} combinations, and a SigOpt server builds "
        f"all of them for each suggestion (up to {MAX_COMBINATIONS} are fine).",
        "Leave suggestions out: our sampler proposes and the server records. Or use a server that "
        "was started with nc-sigopt serve.",
    )


def _link(server: Server, experiment_id: str, worker: Worker) -> dict[str, str]:
    """Metadata that ties a local experiment to its copy on a server, for one worker."""
    return {_URL: server.address.url, _ID: experiment_id, _WORKER: worker.name}


def _linked(
    local: Any, server: Server, copy: SigOptExperiment, worker: Worker
) -> SigOptExperiment:
    """What the local store has of a server's experiment: found by its link, or made.

    Raises:
        ServerError: It has to be made, and the server does not say of what.
    """
    link = _link(server, copy.id, worker)
    for document in list_experiments(local):
        if plain_metadata(document.metadata) == link:
            return SigOptExperiment(local, document, worker)
    record, problem = _ask(server.connection, copy.read_record)
    if problem is not None:
        raise ServerError(f"The server does not show experiment {copy.id}'s record: {problem}.")
    definition = Definition.of_document(copy.document, record)
    return create_on(local, dataclasses.replace(definition, metadata=link), worker)


def _ask(connection: Any, request: Callable[[], Any]) -> tuple[Any, str | None]:
    """The answer, or what is wrong in words.

    Words instead of an exception: the client's exceptions carry the request, token included, and
    would hang on to ours as its context.
    """
    try:
        return request(), None
    except SigOptException as error:
        return None, quoted(connection, error)
