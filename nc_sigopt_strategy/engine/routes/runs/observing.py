"""A run that finishes becomes an observation of its experiment; deleting the run hides that.

The observation is made before the run says so. A process that dies in between leaves a suggestion
that was observed and a run that is still active: the next request that finishes it finds the
observation and takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import TrialState

from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.engine.context import Engine, JsonObject, unix_now
from nc_sigopt_strategy.engine.database.trial_changes import Change
from nc_sigopt_strategy.engine.database.trial_writer import Finish, OvertakenError
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.history.point import OBSERVATION_ATTR
from nc_sigopt_strategy.engine.routes.observation_changes import EMPTIED_ATTR, change
from nc_sigopt_strategy.engine.routes.observations import observe
from nc_sigopt_strategy.engine.routes.reports import finish_of, new_report
from nc_sigopt_strategy.engine.routes.runs.rules import FINISHED
from nc_sigopt_strategy.engine.store import StoredExperiment
from nc_sigopt_strategy.sampling import WITHDRAWN_ATTR


def observation_of(engine: Engine, stored: StoredExperiment, run: Mapping[str, Any]) -> int | None:
    """Make the observation of a run that has finished, or find it.

    Args:
        engine: The engine.
        stored: The run's experiment.
        run: What is kept of it.

    Returns:
        The observation's id; ``None`` where it cannot be made into one.
    """
    known: int | None = run["observation"]
    if known is not None or run["state"] not in FINISHED:
        return known
    report: JsonObject = _outcome(stored, run)
    suggestion = run["suggestion"]
    history = engine.store.history(stored)
    if suggestion is None:
        # Assignments of its own, which may not be those of an observation.
        names = {parameter.name for parameter in stored.experiment.parameters}
        own = {key: value for key, value in run["assignments"].items() if key in names}
        try:
            made = new_report({**report, "assignments": own}, stored, history)
        except ApiError:
            return None
        return observe(engine, stored, made).observation_id
    point = history.point(suggestion)
    if point is not None and point.is_open:
        made = new_report({**report, "suggestion": str(suggestion)}, stored, history)
        observed = engine.store.finish(history, point, made.finish)
        if observed is not None:
            return observed.observation_id
        point = engine.store.history(stored).point(suggestion)
    # Another request was faster, or the suggestion was taken back.
    return None if point is None or point.observation is None else point.observation_id


def hide(engine: Engine, stored: StoredExperiment, observation: int) -> JsonObject | None:
    """Take a run's observation out of its experiment.

    Returns:
        What ``restore`` needs; ``None`` if it is not there.
    """
    hidden: JsonObject | None = None

    def without(history: History) -> list[Change]:
        nonlocal hidden
        hidden = None
        point = history.observation(observation)
        if point is None or point.observation is None:
            return []
        mark = {WITHDRAWN_ATTR: unix_now()} if point.suggestion is None else {EMPTIED_ATTR: True}
        hidden = {"trial": point.id, "mark": mark, "observation": point.observation}
        finish = Finish(TrialState.FAIL, mark)
        return [Change(point.id, OBSERVATION_ATTR, point.observation, finish)]

    change(engine, stored, without)
    return hidden


def restore(engine: Engine, stored: StoredExperiment, hidden: Mapping[str, Any]) -> None:
    """Bring an observation back that ``hide`` took out, unless it was deleted meanwhile."""
    ((key, value),) = hidden["mark"].items()
    finish = finish_of(stored.experiment, dict(hidden["observation"]))
    try:
        engine.store.change(
            engine.store.history(stored), [Change(hidden["trial"], key, value, finish)]
        )
    except OvertakenError:
        return


def _outcome(stored: StoredExperiment, run: Mapping[str, Any]) -> JsonObject:
    """A run without a value for each metric has failed, whatever its state says."""
    names = [metric.name for metric in stored.experiment.metrics]
    if run["state"] == "failed" or any(name not in run["values"] for name in names):
        return {"failed": True}
    values = [
        {
            "name": name,
            "value": run["values"][name]["value"],
            "value_stddev": run["values"][name]["value_stddev"] or 0.0,
        }
        for name in names
    ]
    return {"values": values}
