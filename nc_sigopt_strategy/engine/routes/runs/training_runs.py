"""Routes of training runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request, not_found
from nc_sigopt_strategy.engine.context import Engine, JsonObject, check_client
from nc_sigopt_strategy.engine.database.run_tables import StoredRun
from nc_sigopt_strategy.engine.documents import CLIENT_ID
from nc_sigopt_strategy.engine.routes.account import require_project
from nc_sigopt_strategy.engine.routes.pagination import whole_page
from nc_sigopt_strategy.engine.routes.runs import documents, rules
from nc_sigopt_strategy.engine.routes.runs.listing import page_of_runs
from nc_sigopt_strategy.engine.routes.runs.observing import hide, observation_of, restore
from nc_sigopt_strategy.engine.routes.runs.stored import changed, check_project_of_run, new_run

MAX_BATCH = 10_000


def create_run(engine: Engine, data: JsonObject, client_id: str, project_id: str) -> JsonObject:
    """POST clients/{client}/projects/{project}/training_runs."""
    require_project(engine, client_id, project_id)
    made = new_run(project_id, rules.checked(data, creates=True))
    (run,) = engine.store.runs.add([made])
    return documents.training_run(run)


def create_runs(engine: Engine, data: JsonObject, client_id: str, project_id: str) -> JsonObject:
    """POST clients/{client}/projects/{project}/training_runs/batch: all of them or none."""
    require_project(engine, client_id, project_id)
    validation.check_keys(data, ("runs",))
    batch = validation.array(data.get("runs") or [], "runs")
    if len(batch) > MAX_BATCH:
        raise bad_request(f"A batch has at most {MAX_BATCH} runs, got {len(batch)}")
    made = [
        new_run(project_id, rules.checked(validation.object_(entry, "runs[]"), creates=True))
        for entry in batch
    ]
    return whole_page([documents.training_run(run) for run in engine.store.runs.add(made)])


def list_project_runs(
    engine: Engine, data: JsonObject, client_id: str, project_id: str
) -> JsonObject:
    """GET clients/{client}/projects/{project}/training_runs."""
    require_project(engine, client_id, project_id)
    return page_of_runs(engine.store.runs.all(project=project_id), data)


def list_runs(engine: Engine, data: JsonObject, client_id: str) -> JsonObject:
    """GET clients/{client}/training_runs."""
    check_client(client_id)
    return page_of_runs(engine.store.runs.all(), data)


def list_organization_runs(engine: Engine, data: JsonObject, organization_id: str) -> JsonObject:
    """GET organizations/{organization}/training_runs."""
    if organization_id != CLIENT_ID:
        raise not_found(f"No organization {organization_id}")
    return page_of_runs(engine.store.runs.all(), data)


def fetch_run(engine: Engine, data: JsonObject, run_id: str) -> JsonObject:
    """GET training_runs/{run}; deleted ones too."""
    return documents.training_run(run_with(engine, run_id))


def replace_in_run(engine: Engine, data: JsonObject, run_id: str) -> JsonObject:
    """PUT training_runs/{run}: what is given replaces what was."""
    return _update(engine, data, run_id, merges=False)


def merge_into_run(engine: Engine, data: JsonObject, run_id: str) -> JsonObject:
    """MERGE training_runs/{run}: maps that are given are added to those there are."""
    return _update(engine, data, run_id, merges=True)


def delete_run(engine: Engine, data: JsonObject, run_id: str) -> JsonObject:
    """DELETE training_runs/{run}: it is kept, and takes its observation with it."""
    return _update(engine, {"deleted": True}, run_id, merges=False)


def run_with(engine: Engine, run_id: str) -> StoredRun:
    """A run by its id in a path.

    Raises:
        ApiError: 404.
    """
    run = engine.store.runs.get(int(run_id))
    if run is None:
        raise not_found(f"No training run {run_id}")
    return run


def _update(engine: Engine, data: JsonObject, run_id: str, *, merges: bool) -> JsonObject:
    given = rules.checked(data, creates=False)
    if "project" in given:
        check_project_of_run(given["project"], engine.store.projects())

    def change(before: Mapping[str, Any]) -> JsonObject:
        return changed(before, given, merges=merges)

    run = run_with(engine, run_id)
    if run.document["experiment"] is None:
        return documents.training_run(engine.store.runs.change(run, change))
    return documents.training_run(_update_of_experiment(engine, run, change))


def _update_of_experiment(
    engine: Engine, run: StoredRun, change: Callable[[Mapping[str, Any]], JsonObject]
) -> StoredRun:
    """Change a run of an AI experiment, and what of the experiment follows from it."""
    runs = engine.store.runs
    stored = engine.experiment(str(run.document["experiment"]))
    ahead = change(run.document)
    if ahead["suggestion"] is not None:
        observation = observation_of(engine, stored, ahead)
        run = runs.change(run, lambda before: {**change(before), "observation": observation})
    else:
        run = runs.change(run, change)
    hidden = run.document.get("hidden")
    if run.document["deleted"] and run.document["observation"] is not None and hidden is None:
        taken = hide(engine, stored, run.document["observation"])
        return runs.change(run, lambda before: {**before, "hidden": taken})
    if not run.document["deleted"] and hidden is not None:
        restore(engine, stored, hidden)
        return runs.change(run, lambda before: {**before, "hidden": None})
    return run
