"""Routes that make and show observations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.engine import documents, validation
from nc_sigopt_strategy.engine.api_error import bad_request, not_found
from nc_sigopt_strategy.engine.context import Engine, JsonObject
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.history.point import OBSERVATION_ATTR, Point
from nc_sigopt_strategy.engine.routes.observation_order import observation_order
from nc_sigopt_strategy.engine.routes.pagination import (
    PAGING_KEYS,
    Page,
    asks_for_count,
    paginate,
    whole_page,
)
from nc_sigopt_strategy.engine.routes.reports import Report, flag, new_report, no_suggestion
from nc_sigopt_strategy.engine.routes.suggestions import check_active, refuse_if_of_runs
from nc_sigopt_strategy.engine.store import StoredExperiment

MAX_BATCH = 2500


def create_observation(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """POST experiments/{experiment}/observations. It is on disk when this returns."""
    stored = engine.experiment(experiment_id)
    refuse_if_of_runs(stored, "Observations")
    check_active(stored, "observation")
    report = new_report(data, stored, engine.store.history(stored))
    return _observed_document(engine, stored, report)


def create_observations(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """POST experiments/{experiment}/observations/batch.

    All are checked before the first is stored; each is stored for itself. Unknown keys beside
    ``observations`` are ignored, as on a SigOpt server.
    """
    stored = engine.experiment(experiment_id)
    refuse_if_of_runs(stored, "Observations")
    check_active(stored, "observation")
    batch = validation.array(validation.required(data, "observations"), "observations")
    if len(batch) > MAX_BATCH:
        raise bad_request(f"A batch has at most {MAX_BATCH} observations, got {len(batch)}")
    dry_run = flag(data, "dry_run")
    flag(data, "no_optimize")
    history = engine.store.history(stored)
    reports = [
        new_report(validation.object_(entry, "observations[]"), stored, history) for entry in batch
    ]
    if dry_run:
        made = [_unstored(stored, report) for report in reports]
    else:
        made = [_observed_document(engine, stored, report) for report in reports]
    return whole_page(made)


def list_observations(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """GET experiments/{experiment}/observations."""
    stored = engine.experiment(experiment_id)
    validation.check_keys(data, ("sort", "ascending", *PAGING_KEYS), "query")
    order = observation_order(stored.experiment, data.get("sort"))
    ascending = validation.query_boolean(data.get("ascending", False), "ascending")
    if asks_for_count(data):
        count = engine.store.observation_count(stored)
        return Page([], count, None, None).document(dict)
    observed = engine.store.history(stored).observed()
    page = paginate(
        observed if order is None else sorted(observed, key=order),
        data,
        ascending=ascending,
        by_id=order is None,
        id_of=lambda point: point.observation_id,
    )
    return page.document(lambda point: documents.observation(stored.id, stored.experiment, point))


def fetch_observation(
    engine: Engine, data: JsonObject, experiment_id: str, observation_id: str
) -> JsonObject:
    """GET experiments/{experiment}/observations/{observation}."""
    stored = engine.experiment(experiment_id)
    point = observed_point(engine.store.history(stored), observation_id)
    return documents.observation(stored.id, stored.experiment, point)


def observed_point(history: History, observation_id: str) -> Point:
    """The point with an observation.

    Raises:
        ApiError: 404.
    """
    point = history.observation(int(observation_id))
    if point is None:
        raise not_found(f"No observation {observation_id} for experiment: {history.study_id}")
    return point


def observe(engine: Engine, stored: StoredExperiment, report: Report) -> Point:
    """Keep an observation."""
    history = engine.store.history(stored, refresh=False)
    observed = None
    if report.point is not None:
        if report.point.is_open:
            observed = engine.store.finish(history, report.point, report.finish)
        if observed is None:
            # It was observed before, or by another process since it was read: SigOpt allows
            # several observations of a suggestion, so this one is kept beside the first. But
            # another process may also have taken the suggestion back.
            now = engine.store.history(stored).point(report.point.id)
            if now is not None and now.withdrawn:
                raise no_suggestion(report.point.id, stored.id)
    if observed is None:
        observed = engine.store.add(history, report.assignments, {}, report.finish)
    return observed


def _observed_document(engine: Engine, stored: StoredExperiment, report: Report) -> JsonObject:
    point = observe(engine, stored, report)
    return documents.observation(stored.id, stored.experiment, point)


def _unstored(stored: StoredExperiment, report: Report) -> Mapping[str, Any]:
    """An observation that is only tried: it has no id."""
    point = Point(
        id=0,
        number=0,
        assignments=report.assignments,
        suggestion=None,
        observation=report.finish.user_attrs[OBSERVATION_ATTR],
        withdrawn=False,
    )
    document = documents.observation(stored.id, stored.experiment, point)
    return {**document, "id": None}
