"""Which experiments a list shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.history.description import ExperimentDescription

SORTS = ("id", "recent")


def experiment_filter(
    query: dict[str, Any], project_id: str | None, *, of_runs: bool | None
) -> Callable[[ExperimentDescription], bool]:
    """Tells for an experiment whether it belongs into the list.

    Args:
        query: ``state`` (``active`` unless told otherwise), ``search`` (part of the name),
            ``development``, ``user``, ``period_start`` and ``period_end`` (unix seconds, of
            creation; the end is not included), ``include_ai``.
        project_id: Only those of this project; ``None`` for all.
        of_runs: Only AI experiments, or none of them; ``None`` leaves it to ``include_ai``.

    Raises:
        ApiError: 400.
    """
    state = validation.one_of(query.get("state", "active"), ("active", "deleted", "all"), "state")
    search = validation.text(query.get("search") or "", "search").lower()
    start = _time(query, "period_start", -math.inf)
    end = _time(query, "period_end", math.inf)
    include_ai = validation.query_boolean(query.get("include_ai", False), "include_ai")
    # There are no users here and no development experiments, so asking for either finds nothing.
    none_at_all = validation.query_boolean(query.get("development", False), "development")
    if query.get("user") is not None:
        none_at_all = True

    def wanted(experiment: ExperimentDescription) -> bool:
        return (
            not none_at_all
            and state in ("all", experiment.state)
            and (
                experiment.runs_only in (False, include_ai)
                if of_runs is None
                else experiment.runs_only == of_runs
            )
            and search in experiment.name.lower()
            and project_id in (None, experiment.project)
            and start <= experiment.created < end
        )

    return wanted


def _time(query: dict[str, Any], key: str, otherwise: float) -> float:
    value = query.get(key)
    return otherwise if value is None else validation.query_integer(value, key)
