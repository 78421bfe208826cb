"""Routes of the token, the client and its projects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optuna.exceptions import DuplicatedStudyError

from nc_sigopt_strategy.engine import documents, validation
from nc_sigopt_strategy.engine.api_error import ApiError, bad_request, not_found
from nc_sigopt_strategy.engine.context import Engine, JsonObject, check_client, unix_now
from nc_sigopt_strategy.engine.routes.pagination import paginate
from nc_sigopt_strategy.engine.store import PROJECT_ATTR

MAX_PROJECT_ID_LENGTH = 32
_PROJECT_ID = re.compile(r"[a-z0-9\-_.]+")


@dataclass(frozen=True)
class _StoredProject:
    id: int
    stored: JsonObject


def fetch_token(engine: Engine, data: JsonObject) -> JsonObject:
    """GET tokens/self."""
    return documents.token()


def fetch_client(engine: Engine, data: JsonObject, client_id: str) -> JsonObject:
    """GET clients/{client}."""
    check_client(client_id)
    return documents.client()


def fetch_organization(engine: Engine, data: JsonObject, organization_id: str) -> JsonObject:
    """GET organizations/{organization}."""
    if organization_id != documents.CLIENT_ID:
        raise not_found(f"No organization {organization_id}")
    return documents.organization()


def create_project(engine: Engine, data: JsonObject, client_id: str) -> JsonObject:
    """POST clients/{client}/projects."""
    check_client(client_id)
    validation.check_keys(data, ("id", "name", "metadata"))
    project_id = check_project_id(validation.required(data, "id"))
    now = unix_now()
    stored = {
        "id": project_id,
        "name": validation.name(validation.required(data, "name"), "name"),
        "metadata": validation.metadata(data.get("metadata")),
        "created": now,
        "updated": now,
        "deleted": False,
    }
    # The study's name is unique in the database, which settles a race between processes.
    study_name = f"project:{project_id}"
    try:
        engine.store.create_study(study_name, ["minimize"], PROJECT_ATTR, stored)
    except DuplicatedStudyError:
        study_id, described = engine.store.project_at(study_name)
        if described is not None:
            raise ApiError(409, f"Project {project_id} already exists") from None
        # A process died between creating the study and describing it.
        engine.store.save_project(study_id, stored)
    return documents.project(stored, 0, 0)


def list_projects(engine: Engine, data: JsonObject, client_id: str) -> JsonObject:
    """GET clients/{client}/projects."""
    check_client(client_id)
    deleted = validation.query_boolean(data.get("deleted", False), "deleted")
    order = validation.one_of(data.get("sort") or "created", ("created", "updated"), "sort")
    ascending = validation.query_boolean(data.get("ascending", False), "ascending")
    # There are no users here, so nothing belongs to one.
    items = [
        _StoredProject(study_id, stored)
        for study_id, stored in engine.store.projects().values()
        if stored["deleted"] == deleted and data.get("user") is None
    ]
    by_id = order == "created"
    document = _documents(engine)
    shown = {item.id: document(item.stored) for item in items}
    if not by_id:
        items.sort(key=lambda item: (shown[item.id]["updated"], item.id))
    page = paginate(items, data, ascending=ascending, by_id=by_id)
    return page.document(lambda item: shown[item.id])


def fetch_project(engine: Engine, data: JsonObject, client_id: str, project_id: str) -> JsonObject:
    """GET clients/{client}/projects/{project}."""
    _, stored = require_project(engine, client_id, project_id)
    return _documents(engine)(stored)


def update_project(
    engine: Engine, data: JsonObject, client_id: str, project_id: str
) -> JsonObject:
    """PUT clients/{client}/projects/{project}."""
    study_id, _ = require_project(engine, client_id, project_id)
    validation.check_keys(data, ("name", "metadata", "deleted"))
    changes: JsonObject = {"updated": unix_now()}
    if "name" in data:
        changes["name"] = validation.name(data["name"], "name")
    if "metadata" in data:
        changes["metadata"] = validation.metadata(data["metadata"])
    if "deleted" in data:
        changes["deleted"] = validation.boolean(data["deleted"], "deleted")
    stored = engine.store.change_project(study_id, lambda project: {**project, **changes})
    return _documents(engine)(stored)


def check_project(engine: Engine, project_id: str | None) -> None:
    """Refuse to put an experiment into a project that does not exist.

    Raises:
        ApiError: 400.
    """
    if project_id is not None and project_id not in engine.store.projects():
        raise bad_request(
            f"Could not assign to project `{project_id}`, the project does not exist."
        )


def check_project_id(value: Any) -> str:
    """A project id as it may be, whether or not there is such a project.

    Raises:
        ApiError: 400.
    """
    project_id = validation.name(value, "id", MAX_PROJECT_ID_LENGTH)
    if not _PROJECT_ID.fullmatch(project_id):
        raise bad_request(
            f"Invalid project id {validation.show(project_id)}: only a-z, 0-9, '-', '_' and '.' "
            "are allowed"
        )
    return project_id


def require_project(engine: Engine, client_id: str, project_id: str) -> tuple[int, JsonObject]:
    """The study's id and the description of a project by its id in a path.

    Raises:
        ApiError: 404, there is none; 400, there cannot be one.
    """
    check_client(client_id)
    check_project_id(project_id)
    found = engine.store.projects().get(project_id)
    if found is None:
        raise not_found(f"No project {project_id} in client {client_id}")
    return found


def _documents(engine: Engine) -> Callable[[JsonObject], JsonObject]:
    """Makes the document of a project, with what is in it as of now."""
    experiments: Counter[str | None] = Counter()
    updated: dict[str | None, int] = {}
    changes = engine.store.last_changes()
    for stored in engine.store.experiments():
        project = stored.experiment.project
        experiments[project] += stored.experiment.state == "active"
        latest = max(stored.experiment.updated, changes.get(stored.id, 0))
        updated[project] = max(latest, updated.get(project, 0))
    runs = engine.store.runs.count_by_project()

    def document(project: JsonObject) -> JsonObject:
        name = project["id"]
        # As on a SigOpt server a project is as young as what happens in its experiments.
        latest = max(project["updated"], updated.get(name, 0))
        return documents.project(
            {**project, "updated": latest}, experiments[name], runs.get(name, 0)
        )

    return document
