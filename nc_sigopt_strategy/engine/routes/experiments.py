"""Routes of experiments, their best assignments, stopping criteria and record."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.engine import documents, validation
from nc_sigopt_strategy.engine.api_error import MovedError, bad_request
from nc_sigopt_strategy.engine.context import Engine, JsonObject, check_client, unix_now
from nc_sigopt_strategy.engine.history.description import ExperimentDescription, Metric
from nc_sigopt_strategy.engine.history.history import NOTHING_YET
from nc_sigopt_strategy.engine.routes import experiment_rules
from nc_sigopt_strategy.engine.routes.account import check_project, require_project
from nc_sigopt_strategy.engine.routes.experiment_filter import SORTS, experiment_filter
from nc_sigopt_strategy.engine.routes.experiment_rules import budget_key
from nc_sigopt_strategy.engine.routes.pagination import paginate, whole_page
from nc_sigopt_strategy.engine.routes.parameter_changes import changed_parameters
from nc_sigopt_strategy.engine.routes.runs.training_runs import delete_run
from nc_sigopt_strategy.engine.store import StoredExperiment

MAX_RECORD_BYTES = 4 * 1024 * 1024


def create_experiment(engine: Engine, data: JsonObject, client_id: str = "1") -> JsonObject:
    """POST experiments and clients/{client}/experiments."""
    check_client(client_id)
    experiment = experiment_rules.new_experiment(data, unix_now())
    check_project(engine, experiment.project)
    study_id = engine.store.create_experiment(experiment)
    return documents.experiment(study_id, experiment, NOTHING_YET)


def list_experiments(engine: Engine, data: JsonObject, client_id: str = "1") -> JsonObject:
    """GET experiments and clients/{client}/experiments."""
    check_client(client_id)
    return page_of_experiments(engine, data, None, lambda stored: _document(engine, stored))


def list_project_experiments(
    engine: Engine, data: JsonObject, client_id: str, project_id: str
) -> JsonObject:
    """GET clients/{client}/projects/{project}/experiments."""
    require_project(engine, client_id, project_id)
    return page_of_experiments(
        engine, data, project_id, lambda stored: _document(engine, stored), of_runs=False
    )


def fetch_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}; deleted ones too, with state ``deleted``."""
    stored = engine.experiment(experiment_id)
    if stored.experiment.runs_only:
        raise MovedError(f"/v1/aiexperiments/{stored.id}")
    return _document(engine, stored)


def update_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """PUT experiments/{experiment}: what is given changes, all of it or nothing."""
    stored = engine.experiment(experiment_id)
    return _document(engine, change(engine, stored, data, (*_CHANGES, "parameters")))


def change(
    engine: Engine, stored: StoredExperiment, data: JsonObject, keys: Sequence[str]
) -> StoredExperiment:
    """Change what is given of an experiment, all of it or nothing.

    Args:
        engine: The engine.
        stored: The experiment.
        data: The body.
        keys: What of an experiment may be in it.

    Raises:
        ApiError: 400; 405, parameters of another kind.
    """
    others = {budget_key(not stored.experiment.runs_only)}
    validation.check_keys(data, ({*keys, "no_optimize"} - others))
    if data.get("no_optimize") is not None:
        validation.boolean(data["no_optimize"], "no_optimize")

    def changed(experiment: ExperimentDescription) -> ExperimentDescription:
        changes: JsonObject = {"updated": unix_now()}
        for key, checked in _CHANGES.items():
            if key in data:
                changes[_KEPT_AS.get(key, key)] = checked(engine, experiment, data[key])
        return dataclasses.replace(experiment, **changes)

    return engine.store.change_experiment(stored, changed)


def delete_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """DELETE experiments/{experiment}: out of the lists, but kept; also an AI experiment.

    With ``include_runs`` its runs go, too. Keys of the query that are not known are ignored.
    """
    stored = engine.experiment(experiment_id)
    include_runs = validation.query_boolean(data.get("include_runs", False), "include_runs")
    engine.store.change_experiment(
        stored,
        lambda experiment: dataclasses.replace(experiment, state="deleted", updated=unix_now()),
    )
    if include_runs:
        for run in engine.store.runs.all(experiment=stored.id):
            if not run.document["deleted"]:
                delete_run(engine, {}, str(run.id))
    return {}


def list_best_assignments(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/best_assignments: all, best first; no query changes that."""
    stored = engine.experiment(experiment_id)
    best = engine.store.history(stored).best(stored.experiment)
    return whole_page([documents.best_assignments(stored.experiment, point) for point in best])


def fetch_stopping_criteria(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/stopping_criteria: budget spent, or nothing gained."""
    stored = engine.experiment(experiment_id)
    history = engine.store.history(stored)
    budget = stored.experiment.observation_budget
    reasons = []
    if budget is not None and len(history.observed()) >= budget:
        reasons.append("observation_budget_reached")
    if history.is_stagnating(stored.experiment):
        reasons.append("possible_stagnation")
    return {"object": "stopping_criteria", "should_stop": bool(reasons), "reasons": reasons}


def fetch_record(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/record, a route that SigOpt does not have."""
    study_id = engine.experiment(experiment_id).id
    return _record(study_id, engine.store.record(study_id))


def update_record(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """PUT experiments/{experiment}/record: replace the whole document."""
    study_id = engine.experiment(experiment_id).id
    validation.check_keys(data, ("record",))
    record = validation.object_(validation.required(data, "record"), "record")
    size = len(json.dumps(record))
    if size > MAX_RECORD_BYTES:
        raise bad_request(f"A record has at most {MAX_RECORD_BYTES} bytes, got {size}")
    engine.store.save_record(study_id, record)
    return _record(study_id, record)


def _record(study_id: int, record: Any) -> JsonObject:
    return {"object": "record", "experiment": str(study_id), "record": record}


def _document(engine: Engine, stored: StoredExperiment) -> JsonObject:
    progress = engine.store.history(stored).progress(stored.experiment)
    return documents.experiment(stored.id, stored.experiment, progress)


def page_of_experiments(
    engine: Engine,
    data: JsonObject,
    project_id: str | None,
    document: Callable[[StoredExperiment], JsonObject],
    *,
    of_runs: bool | None = None,
) -> JsonObject:
    """A page of experiments.

    Args:
        engine: The engine.
        data: The query.
        project_id: Only those of this project; ``None`` for all.
        document: Makes the JSON of one.
        of_runs: See ``experiment_filter``.

    Raises:
        ApiError: 400.
    """
    wanted = experiment_filter(data, project_id, of_runs=of_runs)
    items = [stored for stored in engine.store.experiments() if wanted(stored.experiment)]
    by_id = validation.one_of(data.get("sort") or "id", SORTS, "sort") == "id"
    if not by_id:
        changes = engine.store.last_changes()
        items.sort(key=lambda s: (max(s.experiment.updated, changes.get(s.id, 0)), s.id))
    ascending = validation.query_boolean(data.get("ascending", False), "ascending")
    return paginate(items, data, ascending=ascending, by_id=by_id).document(document)


def _with_thresholds(experiment: ExperimentDescription, value: Any) -> tuple[Metric, ...]:
    """The metrics with other thresholds; nothing else about them can change."""
    metrics = {metric.name: metric for metric in experiment.metrics}
    changed: dict[str | None, Metric] = {}
    entries = validation.array(value, "metrics")
    if len(entries) != len(metrics):
        raise bad_request(
            "Changing the number of metrics is forbidden: metrics must list all of them, "
            f"got {len(entries)} of {len(metrics)}"
        )
    for entry in entries:
        raw = validation.object_(entry, "metrics[]")
        validation.check_keys(
            raw, ("name", "objective", "strategy", "threshold", "object"), "metric"
        )
        # A single metric goes without saying.
        name = raw.get("name", next(iter(metrics)) if len(metrics) == 1 else None)
        metric = metrics.get(name) if name is None or isinstance(name, str) else None
        if metric is None:
            raise bad_request(f"No metric {validation.show(name)} in this experiment")
        if metric.name in changed:
            raise bad_request(f"metrics names {metric.name} twice")
        changed[metric.name] = _with_threshold(experiment, metric, raw)
    return tuple(changed[name] for name in metrics)


def _with_threshold(
    experiment: ExperimentDescription, metric: Metric, raw: Mapping[str, Any]
) -> Metric:
    for key in ("objective", "strategy"):
        if raw.get(key, getattr(metric, key)) != getattr(metric, key):
            raise bad_request(f"The {key} of metric {metric.name} cannot be changed")
    # One that may have none keeps it unless told otherwise.
    otherwise = None if metric.strategy == "constraint" else metric.threshold
    threshold = raw.get("threshold", otherwise)
    changed = dataclasses.replace(
        metric,
        threshold=None if threshold is None else validation.number(threshold, "threshold"),
    )
    experiment_rules.check_threshold(changed, len(experiment.optimized))
    return changed


def _new_project(engine: Engine, experiment: ExperimentDescription, value: Any) -> str | None:
    project = experiment_rules.project_id(value)
    check_project(engine, project)
    if experiment.runs_only and project != experiment.project:
        raise bad_request(
            "The project of an AI experiment cannot be changed: its runs are in "
            f"{experiment.project}"
        )
    return project


def _new_budget(engine: Engine, experiment: ExperimentDescription, value: Any) -> int | None:
    key = budget_key(experiment.runs_only)
    if experiment.type == "grid":
        raise bad_request(f"{key} cannot be changed: that of a grid is the number of its points")
    if len(experiment.optimized) > 1:
        raise bad_request(
            f"{key} cannot be changed in an experiment with more than one optimized metric"
        )
    budget = experiment_rules.budget(value, key)
    # Only AI experiments can do without one again.
    if budget is None and not experiment.runs_only:
        raise bad_request(f"Invalid value for {key}: null, expected a positive integer")
    return budget


# What of an experiment can be changed, and the check of its new value; the first one that is
# wrong is named, in this order.
_CHANGES: dict[str, Callable[[Engine, ExperimentDescription, Any], Any]] = {
    "name": lambda engine, experiment, value: validation.name(value, ".name"),
    "state": lambda engine, experiment, value: validation.one_of(
        value, ("active", "deleted"), ".state"
    ),
    "project": _new_project,
    "observation_budget": _new_budget,
    "budget": _new_budget,
    "metadata": lambda engine, experiment, value: validation.metadata(value),
    "parallel_bandwidth": lambda engine, experiment, value: experiment_rules.bandwidth(value),
    "metrics": lambda engine, experiment, value: _with_thresholds(experiment, value),
    "parameters": lambda engine, experiment, value: changed_parameters(experiment, value),
}
_KEPT_AS = {"budget": "observation_budget"}
