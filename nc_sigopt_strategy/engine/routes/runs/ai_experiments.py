"""Routes of AI experiments: experiments whose suggestions and observations belong to runs."""

from __future__ import annotations

from nc_sigopt_strategy.engine import documents as core_documents
from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request, not_found
from nc_sigopt_strategy.engine.context import Engine, JsonObject, check_client, unix_now
from nc_sigopt_strategy.engine.routes import experiment_rules, experiments
from nc_sigopt_strategy.engine.routes.account import require_project
from nc_sigopt_strategy.engine.routes.pagination import paginate
from nc_sigopt_strategy.engine.routes.runs import documents, rules
from nc_sigopt_strategy.engine.routes.runs.observing import observation_of
from nc_sigopt_strategy.engine.routes.runs.stored import new_run
from nc_sigopt_strategy.engine.routes.suggestions import check_active, suggest
from nc_sigopt_strategy.engine.store import StoredExperiment

_NOT_HERE = ("observation_budget", "project", "runs_only", "tasks")
_CHANGES = (
    "name", "budget", "parallel_bandwidth", "metadata", "state", "metrics", "parameters",
)  # fmt: skip
_SUGGESTED = {rules.SUGGESTED: {"sort": 1, "default_show": True}}


def create_ai_experiment(
    engine: Engine, data: JsonObject, client_id: str, project_id: str
) -> JsonObject:
    """POST clients/{client}/projects/{project}/aiexperiments."""
    require_project(engine, client_id, project_id)
    refused = [key for key in _NOT_HERE if key in data]
    if refused:
        raise bad_request(f"Unknown json keys: {', '.join(refused)} in an AI experiment")
    if not data.get("parameters"):
        raise bad_request("AI Experiments must have at least one parameter.")
    body = {**data, "project": project_id, "runs_only": True}
    experiment = experiment_rules.new_experiment(body, unix_now())
    study_id = engine.store.create_experiment(experiment)
    return _document(engine, engine.experiment(str(study_id)))


def list_ai_experiments(engine: Engine, data: JsonObject, client_id: str = "1") -> JsonObject:
    """GET aiexperiments and clients/{client}/aiexperiments."""
    check_client(client_id)
    return experiments.page_of_experiments(
        engine, data, None, lambda stored: _document(engine, stored), of_runs=True
    )


def list_project_ai_experiments(
    engine: Engine, data: JsonObject, client_id: str, project_id: str
) -> JsonObject:
    """GET clients/{client}/projects/{project}/aiexperiments."""
    require_project(engine, client_id, project_id)
    return experiments.page_of_experiments(
        engine, data, project_id, lambda stored: _document(engine, stored), of_runs=True
    )


def fetch_ai_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET aiexperiments/{experiment}; deleted ones too."""
    return _document(engine, _experiment(engine, experiment_id))


def update_ai_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """PUT aiexperiments/{experiment}: what is given changes, all of it or nothing."""
    stored = _experiment(engine, experiment_id)
    return _document(engine, experiments.change(engine, stored, data, _CHANGES))


def delete_ai_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """DELETE aiexperiments/{experiment}, as that of a core experiment."""
    stored = _experiment(engine, experiment_id)
    return experiments.delete_experiment(engine, data, str(stored.id))


def create_run_of_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """POST aiexperiments/{experiment}/training_runs: a run with a suggestion of its own.

    Assignments that name all parameters are its suggestion; one that has finished with them
    becomes an observation at once. Otherwise the sampler is asked, and other assignments are kept
    beside its own.
    """
    stored = _experiment(engine, experiment_id)
    check_active(stored, "training run")
    project = stored.experiment.project
    if project is None:
        raise not_found(f"Experiment {experiment_id} has no project")
    run = new_run(project, rules.checked(data, creates=True), stored.id)
    if run["state"] in rules.FINISHED:
        run["observation"] = observation_of(engine, stored, run)
    else:
        run = _with_suggestion(engine, stored, run)
    (made,) = engine.store.runs.add([run])
    return documents.training_run(made)


def list_best_runs(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET aiexperiments/{experiment}/best_training_runs: those behind the best assignments."""
    stored = _experiment(engine, experiment_id)
    order = validation.one_of(data.get("sort") or "updated", ("updated", "created"), "sort")
    best = engine.store.history(stored).best(stored.experiment)
    found = (engine.store.runs.observed_as(stored.id, point.observation_id) for point in best)
    # The last of a list is shown first, and best assignments come best first.
    runs = [run for run in found if run is not None][::-1]
    if data.get("sort"):
        runs.sort(key=lambda run: (run.document[order], run.id))
    return paginate(runs, data, by_id=False).document(documents.training_run)


def _with_suggestion(engine: Engine, stored: StoredExperiment, run: JsonObject) -> JsonObject:
    names = [parameter.name for parameter in stored.experiment.parameters]
    own = {key: value for key, value in run["assignments"].items() if key in names}
    if own and len(own) < len(names):
        return run
    point = suggest(engine, stored, {"assignments": own} if own else {})
    suggested = core_documents.assignments(stored.experiment, point)
    meta = {} if own else {name: {"source": rules.SUGGESTED} for name in names}
    return {
        **run,
        "suggestion": point.id,
        "assignments": {**run["assignments"], **suggested},
        "assignments_meta": {**run["assignments_meta"], **meta},
        "assignments_sources": {**run["assignments_sources"], **({} if own else _SUGGESTED)},
    }


def _experiment(engine: Engine, experiment_id: str) -> StoredExperiment:
    stored = engine.experiment(experiment_id)
    if not stored.experiment.runs_only:
        raise not_found(f"No AI experiment {experiment_id}")
    return stored


def _document(engine: Engine, stored: StoredExperiment) -> JsonObject:
    runs = engine.store.runs
    progress = engine.store.history(stored).progress(stored.experiment)
    return documents.ai_experiment(
        core_documents.experiment(stored.id, stored.experiment, progress),
        finished=runs.count(stored.id, finished=True),
        active=runs.count(stored.id, finished=False),
    )
