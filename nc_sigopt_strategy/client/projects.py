"""The project that an experiment belongs to, which must be there before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.client.sigopt_client import ApiException, SigOptException

# What says that a project may not be created; everything else may be different the next time.
_REFUSALS = (400, 401, 403, 404, 405)


class ProjectRefused(SigOptException):  # type: ignore[misc]  # the client ships no types
    """A project is not there, and may not be created.

    Args:
        project_id: Its id.
        refusal: The ``ApiException`` that says so.
    """

    def __init__(self, project_id: str, refusal: Any) -> None:
        super().__init__(f"Project {project_id!r} was refused.")
        self.project_id = project_id
        self.refusal = refusal


@dataclass(frozen=True)
class Project:
    """A project that is there.

    Attributes:
        document: The project as the client returned it.
        created: Whether it was not there before.
    """

    document: Any
    created: bool


def ensure_project(connection: Any, project_id: str, client_id: str | None = None) -> Project:
    """Create a project if it is not there yet.

    Args:
        connection: A ``sigopt.Connection``.
        project_id: The project's id, and its name if it is new.
        client_id: The client (team) that it belongs to; ``None`` asks whose the token is.

    Raises:
        ProjectRefused: It is not there and may not be created.
        sigopt.exception.SigOptException: A request failed.
    """
    if client_id is None:
        client_id = connection.tokens("self").fetch().client
    client = connection.clients(client_id)
    try:
        return Project(client.projects(project_id).fetch(), created=False)
    except ApiException as error:
        if error.status_code != 404:
            raise
    try:
        made = client.projects().create(id=project_id, name=project_id)
        return Project(made, created=True)
    except ApiException as error:
        if error.status_code in _REFUSALS:
            raise ProjectRefused(project_id, error) from None
        if error.status_code != 409:
            raise
    # Another worker has created it in between.
    return Project(client.projects(project_id).fetch(), created=False)
