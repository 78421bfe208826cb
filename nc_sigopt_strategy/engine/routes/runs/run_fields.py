"""What of a run can be asked for in filters and sorted by, by name."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence, Set
from typing import Any

from nc_sigopt_strategy.engine.api_error import bad_request
from nc_sigopt_strategy.engine.database.run_document import FLAGS, IDS, MAPS, TEXTS, TIMES
from nc_sigopt_strategy.engine.database.run_tables import StoredRun
from nc_sigopt_strategy.engine.documents import CLIENT_ID
from nc_sigopt_strategy.engine.routes.runs.stored import has_finished

JsonObject = dict[str, Any]
Field = Callable[[StoredRun], Any]

_TYPES = {
    **dict.fromkeys(("id", "client", "user", "optimized_suggestion", *IDS), "id"),
    **dict.fromkeys(TIMES, "timestamp"),
    **dict.fromkeys(("finished", *FLAGS), "boolean"),
    **dict.fromkeys((*TEXTS, "model.type", "source_code.content", "source_code.hash"), "string"),
}


def field_of(key: str) -> Field:
    """Reads a field of a run; ``None`` where the run has none.

    Raises:
        ApiError: 400, there is no such field.
    """
    if key in _TYPES:
        return lambda run: _plain(run, key)
    outer, _, rest = key.partition(".")
    if outer in MAPS and rest:
        inner = MAPS[outer]
        name, dot, last = rest.rpartition(".") if inner else (rest, ".", "")
        if not inner:
            return lambda run: (run.document[outer] or {}).get(name)
        if dot and last in inner:
            return lambda run: run.document[outer].get(name, {}).get(last)
    raise bad_request(f"Invalid sort: {key[:100]}")


def is_id(key: str) -> bool:
    """Whether a field holds an id, which may be written as a number or as its digits."""
    return _TYPES.get(key) == "id"


def defined_fields(runs: Sequence[StoredRun]) -> list[JsonObject]:
    """The fields that any of the runs has, with how many have it."""
    counts = Counter(itertools.chain.from_iterable(run.field_names for run in runs))
    kinds = _kinds(runs, counts.keys() - _TYPES.keys())
    return [
        {
            "object": "field",
            "key": key,
            "name": key.split(".", 1)[-1],
            "type": kinds.get(key, "unknown"),
            "sortable": kinds.get(key) is not None,
            "count": count,
        }
        for key, count in sorted(counts.items())
    ]


def _kinds(runs: Sequence[StoredRun], keys: Set[str]) -> dict[str, str]:
    """The types of fields; of those that the user named, as the latest run has it."""
    kinds = dict(_TYPES)
    missing = set(keys)
    for run in reversed(runs):
        if not missing:
            break
        for key in missing.intersection(run.field_names):
            kinds[key] = _kind(field_of(key)(run))
            missing.discard(key)
    return kinds


def _plain(run: StoredRun, key: str) -> Any:
    document = run.document
    if key == "id":
        return run.id
    if key == "client":
        return int(CLIENT_ID)
    if key == "finished":
        return has_finished(document)
    if key == "optimized_suggestion":
        return document["suggestion"]
    if "." in key:
        outer, inner = key.split(".")
        return document[outer].get(inner)
    return document.get(key)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "numeric"
    return "string"
