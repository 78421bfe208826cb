"""What a guest token lets its holder see: one experiment with its runs, or one run.

SigOpt calls making one sharing. Such a token reads what belongs to the thing that it was made for,
the client's and organization's names, and the project that it is in; lists of runs are narrowed to
its own. What is not its own is not there (404), and what is nobody's to share is refused (403).
Files of its runs belong to it; SigOpt's own server refuses them to guests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.engine.api_error import ApiError, bad_request, not_found
from nc_sigopt_strategy.server.refusals import INVALID_PERMISSIONS, Refusal

JsonObject = dict[str, Any]
Ask = Callable[[str, list[str], JsonObject], JsonObject]

_EXPERIMENTS = ("experiments", "aiexperiments")
_RUNS = "training_runs"
_FILES = "files"


@dataclass(frozen=True)
class Share:
    """What a guest token is for.

    Attributes:
        experiment: Id of the experiment that is seen with all of its runs; ``None`` for none.
        training_run: Id of the run that it was made for; ``None`` for none.
    """

    experiment: int | None
    training_run: int | None

    def __str__(self) -> str:
        if self.experiment is None:
            return f"run {self.training_run}"
        return f"experiment {self.experiment}"


def narrowed(ask: Ask, share: Share, path: Sequence[str], query: JsonObject) -> JsonObject:
    """The query that a guest's GET request gets, so that the answer holds its own only.

    Args:
        ask: Answers a request without regard to who asks: verb, path and data.
        share: What the guest's token is for.
        path: Parts of the path after ``/v1/``; it must be one of the engine's.
        query: What was sent.

    Raises:
        ApiError: 404, it is not the guest's; 403, it is nobody's to share; 400, the filters of
            a list cannot be read.
    """
    if path[0] in _EXPERIMENTS and len(path) > 1:
        if share.experiment != int(path[1]):
            raise not_found(f"No experiment {path[1]}")
        return query
    if path[0] == _RUNS:
        run = ask("GET", list(path[:2]), {})
        if not _is_own(share, run):
            raise not_found(f"No training run {path[1]}")
        return query
    if path[0] == _FILES:
        run = ask("GET", [_RUNS, ask("GET", list(path), {})["training_run"]], {})
        if not _is_own(share, run):
            raise not_found(f"No file {int(path[1])}")
        return query
    if path[0] in ("tokens", "organizations") and len(path) == 2:
        return query
    if path[0] == "clients" and path[2:3] in ([], ["projects"]):
        return _of_client(ask, share, path, query)
    raise _nobodys(share)


def _of_client(ask: Ask, share: Share, path: Sequence[str], query: JsonObject) -> JsonObject:
    if len(path) == 2:
        return query
    is_list = list(path[4:]) == [_RUNS]
    if len(path) < 4 or not (len(path) == 4 or is_list):
        raise _nobodys(share)
    if _shared(ask, share)["project"] != path[3]:
        raise not_found(f"No project {path[3]}")
    return {**query, "filters": _filters(share, query.get("filters"))} if is_list else query


def _is_own(share: Share, run: JsonObject) -> bool:
    # Of an experiment all runs are seen, and of a run its experiment.
    if share.experiment is not None:
        return bool(run["experiment"] == str(share.experiment))
    return run["experiment"] is None and run["id"] == str(share.training_run)


def _shared(ask: Ask, share: Share) -> JsonObject:
    """The experiment or run itself."""
    if share.experiment is None:
        return ask("GET", [_RUNS, str(share.training_run)], {})
    try:
        return ask("GET", [_EXPERIMENTS[0], str(share.experiment)], {})
    except ApiError as error:
        if error.status != 301:
            raise
        return ask("GET", [_EXPERIMENTS[1], str(share.experiment)], {})


def _filters(share: Share, sent: Any) -> list[Any]:
    """The filters of a list of runs, all of which must hold, and one more."""
    if share.experiment is None:
        own = {"field": "id", "operator": "==", "value": share.training_run}
    else:
        own = {"field": "experiment", "operator": "==", "value": share.experiment}
    try:
        filters = [] if sent is None else json.loads(sent)
    except (TypeError, ValueError, RecursionError):
        filters = None
    if not isinstance(filters, list):
        raise bad_request("filters is not a JSON array")
    return [*filters, own]


def _nobodys(share: Share) -> Refusal:
    return Refusal(
        403, f"This token is for looking at {share} only", token_status=INVALID_PERMISSIONS
    )
