"""Which handler answers which path and verb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nc_sigopt_strategy.engine import validation
from nc_sigopt_strategy.engine.api_error import ApiError, not_found
from nc_sigopt_strategy.engine.routes import (
    account as account_routes,
)
from nc_sigopt_strategy.engine.routes import (
    experiments as experiment_routes,
)
from nc_sigopt_strategy.engine.routes import (
    guest_tokens as guest_routes,
)
from nc_sigopt_strategy.engine.routes import (
    observation_changes as change_routes,
)
from nc_sigopt_strategy.engine.routes import (
    observations as observation_routes,
)
from nc_sigopt_strategy.engine.routes import (
    queued as queued_routes,
)
from nc_sigopt_strategy.engine.routes import (
    suggestions as suggestion_routes,
)
from nc_sigopt_strategy.engine.routes import (
    tags as tag_routes,
)
from nc_sigopt_strategy.engine.routes.runs import (
    ai_experiments as ai_routes,
)
from nc_sigopt_strategy.engine.routes.runs import (
    checkpoints as checkpoint_routes,
)
from nc_sigopt_strategy.engine.routes.runs import (
    run_files as run_file_routes,
)
from nc_sigopt_strategy.engine.routes.runs import (
    run_tags as run_tag_routes,
)
from nc_sigopt_strategy.engine.routes.runs import (
    training_runs as run_routes,
)

# Called with the engine, the request's data, and the ids of the path in order.
Handler = Callable[..., dict[str, Any]]

# ``{int}`` stands for a number, ``{text}`` for any one part of a path.
TABLE: dict[str, dict[str, Handler]] = {
    "tokens/self": {"GET": account_routes.fetch_token},
    "clients/{int}": {"GET": account_routes.fetch_client},
    "organizations/{int}": {"GET": account_routes.fetch_organization},
    "clients/{int}/tags": {
        "GET": tag_routes.list_tags,
        "POST": tag_routes.create_tag,
    },
    "clients/{int}/projects": {
        "GET": account_routes.list_projects,
        "POST": account_routes.create_project,
    },
    "clients/{int}/projects/{text}": {
        "GET": account_routes.fetch_project,
        "PUT": account_routes.update_project,
    },
    "clients/{int}/projects/{text}/experiments": {
        "GET": experiment_routes.list_project_experiments,
    },
    "clients/{int}/projects/{text}/aiexperiments": {
        "GET": ai_routes.list_project_ai_experiments,
        "POST": ai_routes.create_ai_experiment,
    },
    "clients/{int}/projects/{text}/training_runs": {
        "GET": run_routes.list_project_runs,
        "POST": run_routes.create_run,
    },
    "clients/{int}/projects/{text}/training_runs/batch": {"POST": run_routes.create_runs},
    "clients/{int}/training_runs": {"GET": run_routes.list_runs},
    "organizations/{int}/training_runs": {"GET": run_routes.list_organization_runs},
    "clients/{int}/aiexperiments": {"GET": ai_routes.list_ai_experiments},
    "aiexperiments": {"GET": ai_routes.list_ai_experiments},
    "aiexperiments/{int}": {
        "GET": ai_routes.fetch_ai_experiment,
        "PUT": ai_routes.update_ai_experiment,
        "DELETE": ai_routes.delete_ai_experiment,
    },
    "aiexperiments/{int}/training_runs": {"POST": ai_routes.create_run_of_experiment},
    "aiexperiments/{int}/best_training_runs": {"GET": ai_routes.list_best_runs},
    "training_runs/{int}": {
        "GET": run_routes.fetch_run,
        "PUT": run_routes.replace_in_run,
        "MERGE": run_routes.merge_into_run,
        "DELETE": run_routes.delete_run,
    },
    "training_runs/{int}/checkpoints": {
        "GET": checkpoint_routes.list_checkpoints,
        "POST": checkpoint_routes.create_checkpoint,
    },
    "training_runs/{int}/checkpoints/{int}": {"GET": checkpoint_routes.fetch_checkpoint},
    "training_runs/{int}/files": {"POST": run_file_routes.create_file},
    "files/{int}": {"GET": run_file_routes.fetch_file},
    "training_runs/{int}/tokens": {"POST": guest_routes.share_run},
    "training_runs/{int}/tags": {"POST": run_tag_routes.add_tag},
    "training_runs/{int}/tags/{int}": {"DELETE": run_tag_routes.remove_tag},
    "clients/{int}/experiments": {
        "GET": experiment_routes.list_experiments,
        "POST": experiment_routes.create_experiment,
    },
    "experiments": {
        "GET": experiment_routes.list_experiments,
        "POST": experiment_routes.create_experiment,
    },
    "experiments/{int}": {
        "GET": experiment_routes.fetch_experiment,
        "PUT": experiment_routes.update_experiment,
        "DELETE": experiment_routes.delete_experiment,
    },
    "experiments/{int}/record": {
        "GET": experiment_routes.fetch_record,
        "PUT": experiment_routes.update_record,
    },
    "experiments/{int}/tokens": {"POST": guest_routes.share_experiment},
    "experiments/{int}/best_assignments": {"GET": experiment_routes.list_best_assignments},
    "experiments/{int}/stopping_criteria": {"GET": experiment_routes.fetch_stopping_criteria},
    "experiments/{int}/suggestions": {
        "GET": suggestion_routes.list_suggestions,
        "POST": suggestion_routes.create_suggestion,
        "DELETE": suggestion_routes.delete_suggestions,
    },
    "experiments/{int}/suggestions/{int}": {
        "GET": suggestion_routes.fetch_suggestion,
        "PUT": suggestion_routes.update_suggestion,
        "DELETE": suggestion_routes.delete_suggestion,
    },
    "experiments/{int}/queued_suggestions": {
        "GET": queued_routes.list_queued,
        "POST": queued_routes.create_queued,
    },
    "experiments/{int}/queued_suggestions/{int}": {
        "GET": queued_routes.fetch_queued,
        "DELETE": queued_routes.delete_queued,
    },
    "experiments/{int}/observations": {
        "GET": observation_routes.list_observations,
        "POST": observation_routes.create_observation,
        "DELETE": change_routes.delete_observations,
    },
    "experiments/{int}/observations/batch": {"POST": observation_routes.create_observations},
    "experiments/{int}/observations/{int}": {
        "GET": observation_routes.fetch_observation,
        "PUT": change_routes.update_observation,
        "DELETE": change_routes.delete_observation,
    },
}

_ROUTES = [(pattern.split("/"), verbs) for pattern, verbs in TABLE.items()]

# More digits are no id of anything, and Python refuses to read thousands of them.
_MAX_DIGITS = 19


def find_route(method: str, path: Sequence[str | int]) -> tuple[Handler, list[str]]:
    """The handler for a request and the ids in its path.

    Raises:
        ApiError: 404 for an unknown path, 405 for a known one with another verb.
    """
    parts = [str(part) for part in path]
    if not all(validation.is_storable(part) for part in parts):
        raise not_found("The path holds a character that no path has")
    for pattern, verbs in _ROUTES:
        ids = _match(pattern, parts)
        if ids is None:
            continue
        handler = verbs.get(method)
        if handler is None:
            raise ApiError(405, f"{method} is not offered for {'/'.join(parts)[:200]}")
        return handler, ids
    raise not_found(f"The embedded engine has no route {'/'.join(parts)[:200]}")


def _match(pattern: Sequence[str], parts: Sequence[str]) -> list[str] | None:
    if len(pattern) != len(parts):
        return None
    ids = []
    for expected, part in zip(pattern, parts, strict=True):
        if expected == "{int}":
            if not (part.isascii() and part.isdigit() and len(part) <= _MAX_DIGITS):
                return None
            ids.append(str(int(part)))
        elif expected == "{text}":
            ids.append(part)
        elif expected != part:
            return None
    return ids
