"""What is kept of a run: a new one, and what a request makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import bad_request
from nc_sigopt_strategy.engine.context import unix_now
from nc_sigopt_strategy.engine.routes.runs.rules import FINISHED, check_meta

JsonObject = dict[str, Any]

# A request adds to these with MERGE and replaces them with PUT.
_MAPS = (
    "assignments", "assignments_meta", "assignments_sources", "values", "metadata", "dev_metadata",
    "sys_metadata", "datasets", "logs", "model", "source_code",
)  # fmt: skip
_LIMITED = ("assignments", "metadata", "dev_metadata")


def new_run(project: str, given: Mapping[str, Any], experiment: int | None = None) -> JsonObject:
    """A run that has just been made.

    Args:
        project: Its project's id.
        given: What the request says, checked.
        experiment: The AI experiment's id, if it is one's.

    Raises:
        ApiError: 400.
    """
    now = unix_now()
    empty: JsonObject = {
        "project": project,
        "experiment": experiment,
        "suggestion": None,
        "observation": None,
        "state": "active",
        "created": now,
        "updated": now,
        "completed": None,
        "deleted": False,
        "favorite": False,
        "checkpoint_count": 0,
        "tags": [],
        "files": [],
        **{key: {} for key in _MAPS},
        "metadata": None,
    }
    return changed(empty, given, merges=True)


def changed(before: Mapping[str, Any], given: Mapping[str, Any], *, merges: bool) -> JsonObject:
    """A run after a request.

    Args:
        before: The run.
        given: What the request says, checked.
        merges: Whether maps are added to, and not replaced.

    Raises:
        ApiError: 400.
    """
    after = {**before, "updated": unix_now()}
    for key, value in given.items():
        if key == "state":
            _set_state(after, value)
        elif key in _MAPS and merges and value is not None and before[key] is not None:
            after[key] = {**before[key], **value}
        else:
            after[key] = value
    for key in _LIMITED:
        validation.metadata(after[key], key)
    if "assignments_meta" in given:
        check_meta(given["assignments_meta"], after["assignments"])
    return after


def has_finished(document: Mapping[str, Any]) -> bool:
    """Whether a run has ended, or has become an observation."""
    return document["completed"] is not None or document["observation"] is not None


def _set_state(run: JsonObject, state: str) -> None:
    if state not in FINISHED:
        # A run that has finished does not begin again, and one that has not is active anyway.
        return
    run["state"] = state
    if run["completed"] is None:
        run["completed"] = unix_now()


def check_project_of_run(project: str, known: Mapping[str, Any]) -> None:
    """Refuse to move a run to where nothing is.

    Raises:
        ApiError: 400.
    """
    if project not in known:
        raise bad_request(f"Unknown project ID: {project[:100]}")
