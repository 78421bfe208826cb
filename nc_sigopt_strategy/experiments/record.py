"""The part of an experiment's record that fits into SigOpt's metadata.

Our own stores keep a document of any size beside an experiment. A SigOpt server has only metadata
(100 entries of 500 characters), so what another worker needs to join goes there: what must be the
same, the reference that latencies are ratios to, and what accuracy has to reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.experiments.definition import ACCURACY_TARGET

_NESTED = ("identity", "reference")
_PLAIN = (ACCURACY_TARGET, "baseline_accuracy")


def to_metadata(record: Mapping[str, Any]) -> dict[str, str | float]:
    """Entries of an experiment's metadata."""
    metadata: dict[str, str | float] = {
        f"{part}: {key}": value
        for part in _NESTED
        for key, value in (record.get(part) or {}).items()
    }
    metadata.update({key: record[key] for key in _PLAIN if record.get(key) is not None})
    return metadata


def from_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of ``to_metadata``; empty where the metadata is of another program."""
    record: dict[str, Any] = {key: metadata[key] for key in _PLAIN if key in metadata}
    for key, value in metadata.items():
        part, _, name = key.partition(": ")
        if part in _NESTED and name:
            record.setdefault(part, {})[name] = value
    return record
