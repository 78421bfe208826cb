"""Routes that change and delete observations.

The samplers learn from what is there when they are asked, so a change counts from the next
suggestion on. A suggestion whose last observation is deleted is open again, and whoever looks for
open suggestions may take it up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from optuna.trial import TrialState

from nc_sigopt_strategy.engine import documents, validation
from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.engine.context import Engine, JsonObject, unix_now
from nc_sigopt_strategy.engine.database.trial_changes import Change
from nc_sigopt_strategy.engine.database.trial_writer import Finish, OvertakenError
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.history.point import OBSERVATION_ATTR, Point
from nc_sigopt_strategy.engine.routes.observations import observed_point
from nc_sigopt_strategy.engine.routes.reports import changed_report
from nc_sigopt_strategy.engine.store import StoredExperiment
from nc_sigopt_strategy.sampling import WITHDRAWN_ATTR

# How often a change is worked out anew because another process was faster.
_ATTEMPTS = 100

# Marks the trial of a suggestion whose own observation was deleted, while others name it.
EMPTIED_ATTR = "observation_deleted"


def update_observation(
    engine: Engine, data: JsonObject, experiment_id: str, observation_id: str
) -> JsonObject:
    """PUT experiments/{experiment}/observations/{observation}: what is given replaces what was."""
    stored = engine.experiment(experiment_id)

    def replaced(history: History) -> list[Change]:
        point = observed_point(history, observation_id)
        finish, assignments = changed_report(data, stored, point)
        params = {} if assignments is None else history.internal(assignments)
        return [Change(point.id, OBSERVATION_ATTR, point.observation, finish, params)]

    change(engine, stored, replaced)
    changed = observed_point(engine.store.history(stored), observation_id)
    return documents.observation(stored.id, stored.experiment, changed)


def delete_observation(
    engine: Engine, data: JsonObject, experiment_id: str, observation_id: str
) -> JsonObject:
    """DELETE experiments/{experiment}/observations/{observation}."""
    stored = engine.experiment(experiment_id)
    _check_no_optimize(data)
    change(
        engine,
        stored,
        lambda history: _removal(history, observed_point(history, observation_id)),
    )
    return {}


def delete_observations(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """DELETE experiments/{experiment}/observations: all of them."""
    stored = engine.experiment(experiment_id)
    _check_no_optimize(data)
    change(engine, stored, _emptied)
    return {}


def change(
    engine: Engine, stored: StoredExperiment, changes: Callable[[History], Sequence[Change]]
) -> None:
    """Change trials that have ended, all of them or none.

    Args:
        engine: The engine.
        stored: Their experiment.
        changes: What becomes of them; asked again when another process was faster.

    Raises:
        ApiError: 429, others are faster all the time; and what ``changes`` raises.
    """
    for _ in range(_ATTEMPTS):
        history = engine.store.history(stored)
        try:
            engine.store.change(history, changes(history))
        except OvertakenError:
            continue
        return
    raise ApiError(429, "Others change the same observations; try again")


def _emptied(history: History) -> list[Change]:
    return [
        *(_without(point, reopen=True) for point in history.observed()),
        *(_reopened(point) for point in history.suggestions() if _is_emptied(point)),
    ]


def _removal(history: History, point: Point) -> list[Change]:
    """What deleting one observation changes."""
    suggestion_id = (point.observation or {})["suggestion"]
    is_last = suggestion_id is not None and history.reports(suggestion_id) == 1
    changes = [_without(point, reopen=is_last)]
    if is_last and point.suggestion is None:
        suggestion = history.point(int(suggestion_id))
        if suggestion is not None and _is_emptied(suggestion):
            changes.append(_reopened(suggestion))
    return changes


def _without(point: Point, *, reopen: bool) -> Change:
    """A trial without its observation; of a suggestion open again, or kept as closed."""
    if point.suggestion is None:
        finish = Finish(TrialState.FAIL, {WITHDRAWN_ATTR: unix_now()})
    elif reopen:
        finish = Finish(TrialState.RUNNING)
    else:
        finish = Finish(TrialState.FAIL, {EMPTIED_ATTR: True})
    return Change(point.id, OBSERVATION_ATTR, point.observation, finish)


def _is_emptied(point: Point) -> bool:
    return not (point.running or point.withdrawn) and point.observation is None


def _reopened(point: Point) -> Change:
    return Change(point.id, EMPTIED_ATTR, True, Finish(TrialState.RUNNING))


def _check_no_optimize(query: dict[str, Any]) -> None:
    if query.get("no_optimize") is not None:
        validation.query_boolean(query["no_optimize"], "no_optimize")
