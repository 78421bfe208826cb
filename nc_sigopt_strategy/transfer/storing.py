"""An experiment made anew in a store or on a SigOpt server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.client.projects import ensure_project
from nc_sigopt_strategy.client.sigopt_client import ApiException
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.transfer.document import ExperimentDocument
from nc_sigopt_strategy.transfer.widened import widened

# A request's body stays well below the 8 MiB that a server takes unless told otherwise.
_BATCH = 500
_REFUSED = range(400, 500)


def store(
    document: ExperimentDocument,
    connection: Any,
    project_id: str,
    *,
    ours: bool,
    without: Sequence[str] = (),
) -> str:
    """Make an experiment with all its observations or runs.

    It gets a new id; its observations keep their order, and the time is that of the import.
    What was observed outside of its parameters, as they are now, is kept as well. Where an
    observation is refused, what was made is deleted again.

    Args:
        document: What is made.
        connection: A ``sigopt.Connection``.
        project_id: Its project, which is made if it is not there.
        ours: Whether the other side keeps a record beside it (a store, ``nc-sigopt serve``).
        without: Keys of the experiment that are left out.

    Returns:
        The new id.

    Raises:
        DataError: The other side refuses the experiment or an observation, or the experiment has
            no key of ``without``.
        ApiException: The other side fails.
    """
    unknown = [key for key in without if key not in document.experiment]
    if unknown:
        raise DataError(
            f"The experiment has no {unknown[0]} to leave out.",
            f"It has {', '.join(sorted(document.experiment))}.",
        )
    body = {key: value for key, value in document.experiment.items() if key not in without}
    ensure_project(connection, project_id)
    wide = _widened(document, body)
    made_from = body if wide is None else {**body, "parameters": wide}
    try:
        made = connection.experiments().create(**made_from, project=project_id)
    except ApiException as error:
        raise _refused("the experiment", error, body) from None
    endpoint = connection.experiments(made.id)
    try:
        for number, run in enumerate(document.runs, start=1):
            _make_run(connection, made.id, run, number)
        for start in range(0, len(document.observations), _BATCH):
            _report(endpoint, document.observations[start : start + _BATCH], start)
        if wide is not None:
            endpoint.update(parameters=body["parameters"])
        if ours and document.record is not None:
            path = ["experiments", made.id, "record"]
            connection.impl.driver.request("PUT", path, {"record": dict(document.record)}, None)
    except BaseException:
        endpoint.delete()
        raise
    return str(made.id)


def _widened(document: ExperimentDocument, body: Mapping[str, Any]) -> list[Any] | None:
    """Parameters for what was observed; ``None`` where the experiment's own will do."""
    # Parameters of a grid experiment cannot be changed afterwards.
    if body.get("type") == "grid" or not document.may_be_outside:
        return None
    observed = [one.get("assignments") for one in (*document.observations, *document.runs)]
    return widened(body["parameters"], [one for one in observed if isinstance(one, Mapping)])


def _make_run(connection: Any, experiment_id: str, run: Mapping[str, Any], number: int) -> None:
    """One that has finished becomes an observation at once."""
    try:
        connection.aiexperiments(experiment_id).training_runs().create(**run)
    except ApiException as error:
        raise _refused(f"run {number}", error, {}) from None


def _report(endpoint: Any, observations: Sequence[Mapping[str, Any]], before: int) -> None:
    try:
        endpoint.observations().create_batch(observations=list(observations), no_optimize=True)
    except ApiException as error:
        if error.status_code not in _REFUSED:
            raise
    else:
        return
    # A server does not say which one of them it means.
    for number, observation in enumerate(observations, start=before + 1):
        try:
            endpoint.observations().create_batch(observations=[dict(observation)], dry_run=True)
        except ApiException as error:
            raise _refused(f"observation {number}", error, {}) from None
    raise DataError(
        f"Of the observations {before + 1} to {before + len(observations)} each is taken, and "
        "together they are refused.",
        "Import them into a store that others do not change meanwhile.",
    )


def _refused(what: str, error: ApiException, body: Mapping[str, Any]) -> Exception:
    if error.status_code not in _REFUSED:
        return error  # type: ignore[no-any-return]  # the client ships no types
    named = [key for key in ("conditionals", "linear_constraints", "tasks") if key in body]
    hint = f" {named[0]} can be left out: --without {named[0]}." if named else ""
    said = error.to_json().get("message") or str(error)
    return DataError(
        f"{what[0].upper()}{what[1:]} is refused ({error.status_code}): {str(said).rstrip('.')}.",
        f"Change it in the file.{hint}",
    )
