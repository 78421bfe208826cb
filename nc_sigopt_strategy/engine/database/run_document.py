"""What a run's document holds, by the names that filters and lists know it by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

IDS = ("experiment", "observation", "suggestion")
TIMES = ("created", "updated", "completed")
FLAGS = ("deleted", "favorite")
TEXTS = ("name", "state")
# The maps whose entries are fields, and what of an entry is one.
MAPS: dict[str, tuple[str, ...]] = {
    "assignments": (),
    "metadata": (),
    "values": ("value", "value_stddev"),
    "logs": ("content",),
}


def field_names(document: Mapping[str, Any]) -> Iterator[str]:
    """The fields that a run has, such as ``values.accuracy.value``."""
    yield from ("id", "client", "finished", *FLAGS, *TEXTS)
    yield from (key for key in (*IDS, *TIMES) if document[key] is not None)
    for outer, inner in MAPS.items():
        for name, entry in (document[outer] or {}).items():
            if not inner:
                yield f"{outer}.{name}"
            else:
                yield from (f"{outer}.{name}.{k}" for k in inner if entry.get(k) is not None)
