"""Routes of experiments, their best assignments, stopping criteria and record."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import Any

from nc_sigopt_strategy.embedded import documents, experiment_rules, validation
from nc_sigopt_strategy.embedded.account_routes import check_project, fetch_project
from nc_sigopt_strategy.embedded.api_error import bad_request
from nc_sigopt_strategy.embedded.best import best_of
from nc_sigopt_strategy.embedded.engine import Engine, JsonObject, check_client, unix_now
from nc_sigopt_strategy.embedded.model import Experiment, Metric
from nc_sigopt_strategy.embedded.pagination import PAGING_KEYS, paginate
from nc_sigopt_strategy.embedded.store import EXPERIMENT_ATTR

MAX_RECORD_BYTES = 4 * 1024 * 1024

_UPDATE_KEYS = (
    "name", "state", "project", "observation_budget", "metrics", "metadata",
    "parallel_bandwidth", "no_optimize",
)  # fmt: skip


def create_experiment(engine: Engine, data: JsonObject, client_id: str = "1") -> JsonObject:
    """POST experiments and clients/{client}/experiments."""
    check_client(client_id)
    experiment = experiment_rules.new_experiment(data, unix_now())
    check_project(engine, experiment.project)
    study_id = engine.store.create_study(
        f"experiment:{uuid.uuid4()}",
        experiment.directions,
        EXPERIMENT_ATTR,
        experiment.to_stored(),
    )
    return documents.experiment(study_id, experiment, [])


def list_experiments(engine: Engine, data: JsonObject, client_id: str = "1") -> JsonObject:
    """GET experiments and clients/{client}/experiments."""
    check_client(client_id)
    return _page(engine, data, None)


def list_project_experiments(
    engine: Engine, data: JsonObject, client_id: str, project_id: str
) -> JsonObject:
    """GET clients/{client}/projects/{project}/experiments."""
    fetch_project(engine, {}, client_id, project_id)
    return _page(engine, data, project_id)


def fetch_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}; deleted ones too, with state ``deleted``."""
    study_id, experiment = engine.experiment(experiment_id)
    return documents.experiment(study_id, experiment, engine.store.points(study_id))


def update_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """PUT experiments/{experiment}."""
    study_id, experiment = engine.experiment(experiment_id)
    if "parameters" in data:
        raise bad_request(
            "Parameters cannot be changed: the embedded engine compares all observations of an "
            "experiment with each other. Create a new experiment."
        )
    validation.check_keys(data, _UPDATE_KEYS)
    changes: JsonObject = {"updated": unix_now()}
    if "name" in data:
        changes["name"] = validation.name(data["name"], ".name")
    if "state" in data:
        changes["state"] = validation.one_of(data["state"], ("active", "deleted"), ".state")
    if "project" in data:
        changes["project"] = experiment_rules.project_id(data["project"])
        check_project(engine, changes["project"])
    if "observation_budget" in data:
        changes["observation_budget"] = experiment_rules.budget(data["observation_budget"])
        if changes["observation_budget"] is None and experiment.observation_budget is not None:
            raise bad_request("observation_budget cannot be taken away")
    if "metadata" in data:
        changes["metadata"] = validation.metadata(data["metadata"])
    if "parallel_bandwidth" in data:
        changes["parallel_bandwidth"] = experiment_rules.bandwidth(data["parallel_bandwidth"])
    if "metrics" in data:
        changes["metrics"] = _with_thresholds(experiment, data["metrics"])
    changed = dataclasses.replace(experiment, **changes)
    engine.store.save_experiment(study_id, changed)
    return documents.experiment(study_id, changed, engine.store.points(study_id))


def delete_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """DELETE experiments/{experiment}: out of the lists, but kept."""
    study_id, experiment = engine.experiment(experiment_id)
    validation.check_keys(data, ("include_runs",), "query")
    engine.store.save_experiment(
        study_id, dataclasses.replace(experiment, state="deleted", updated=unix_now())
    )
    return {}


def list_best_assignments(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/best_assignments."""
    study_id, experiment = engine.experiment(experiment_id)
    validation.check_keys(data, PAGING_KEYS, "query")
    best = best_of(experiment, [p for p in engine.store.points(study_id) if p.observation])
    return paginate(
        [(point.id, point) for point in best],
        data,
        lambda _, point: documents.best_assignments(experiment, point),
    )


def fetch_stopping_criteria(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/stopping_criteria: whether the budget is spent."""
    study_id, experiment = engine.experiment(experiment_id)
    observed = sum(point.observation is not None for point in engine.store.points(study_id))
    budget = experiment.observation_budget
    spent = budget is not None and observed >= budget
    return {
        "object": "stopping_criteria",
        "should_stop": spent,
        "reasons": ["observation_budget_reached"] if spent else [],
    }


def fetch_record(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/record, a route that SigOpt does not have."""
    study_id, _ = engine.experiment(experiment_id)
    return _record(study_id, engine.store.record(study_id))


def update_record(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """PUT experiments/{experiment}/record: replace the whole document."""
    study_id, _ = engine.experiment(experiment_id)
    validation.check_keys(data, ("record",))
    record = validation.object_(validation.required(data, "record"), "record")
    size = len(json.dumps(record))
    if size > MAX_RECORD_BYTES:
        raise bad_request(f"A record has at most {MAX_RECORD_BYTES} bytes, got {size}")
    engine.store.save_record(study_id, record)
    return _record(study_id, record)


def _record(study_id: int, record: Any) -> JsonObject:
    return {"object": "record", "experiment": str(study_id), "record": record}


def _page(engine: Engine, data: JsonObject, project_id: str | None) -> JsonObject:
    validation.check_keys(data, ("state", "search", *PAGING_KEYS), "query")
    state = validation.one_of(data.get("state") or "active", ("active", "deleted", "all"), "state")
    search = str(data.get("search") or "").lower()
    items = [
        (study_id, experiment)
        for study_id, experiment in engine.store.experiments().items()
        if state in ("all", experiment.state)
        and search in experiment.name.lower()
        and project_id in (None, experiment.project)
    ]
    return paginate(
        items,
        data,
        lambda study_id, experiment: documents.experiment(
            study_id, experiment, engine.store.points(study_id)
        ),
    )


def _with_thresholds(experiment: Experiment, value: Any) -> tuple[Metric, ...]:
    """The metrics with other thresholds; nothing else about them can change."""
    metrics = {metric.name: metric for metric in experiment.metrics}
    for entry in validation.array(value, "metrics"):
        raw = validation.object_(entry, "metrics[]")
        validation.check_keys(
            raw, ("name", "objective", "strategy", "threshold", "object"), "metric"
        )
        metric = metrics.get(raw.get("name"))
        if metric is None:
            raise bad_request(f"No metric {raw.get('name')!r} in this experiment")
        for key in ("objective", "strategy"):
            if raw.get(key, getattr(metric, key)) != getattr(metric, key):
                raise bad_request(f"The {key} of metric {metric.name} cannot be changed")
        threshold = raw.get("threshold")
        changed = dataclasses.replace(
            metric,
            threshold=None if threshold is None else validation.number(threshold, "threshold"),
        )
        experiment_rules.check_threshold(changed, len(experiment.optimized))
        metrics[metric.name] = changed
    return tuple(metrics.values())
