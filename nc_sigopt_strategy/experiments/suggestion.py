"""A suggestion as a worker sees it, and where it stands among those of other workers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.experiments.documents import count_in, plain_metadata
from nc_sigopt_strategy.experiments.lease import Lease

_ORIGIN, _NUMBER, _RERUNS = "origin", "number", "reruns"
# In a suggestion's metadata the id of the one that it was made for: a trial that a worker left.
RECLAIMS = "reclaims"


@dataclass(frozen=True)
class Suggestion:
    """A suggestion of the experiment.

    Attributes:
        number: Position in the experiment, from 1.
        suggestion_id: SigOpt's id.
        assignments: Parameter name to value label.
        origin: Who proposed it; see ``TrialRecord.origin``.
        reruns: How often a process died while it was open.
        lease: Whose it is; ``None`` if no worker said.
        metadata: All that the suggestion's metadata says.
        is_open: Whether it still waits for its observation.
    """

    number: int
    suggestion_id: str
    assignments: Mapping[str, str]
    origin: str
    reruns: int = 0
    lease: Lease | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    is_open: bool = True

    @classmethod
    def of_document(cls, document: Any) -> Suggestion:
        """A suggestion as the client returned it."""
        metadata = plain_metadata(document.metadata)
        # Our engine counts suggestions, which keeps numbers apart among workers; the client's
        # object has no field for that.
        known = document.to_json()
        number = count_in(known if _NUMBER in known else metadata, _NUMBER)
        return cls(
            number,
            str(document.id),
            dict(document.assignments),
            str(metadata.get(_ORIGIN, "")),
            count_in(metadata, _RERUNS),
            Lease.from_metadata(metadata),
            metadata,
            document.state != "closed",
        )

    def with_id(self, suggestion_id: str) -> Suggestion:
        """The same suggestion under the id that another store gave it."""
        return dataclasses.replace(self, suggestion_id=suggestion_id)


@dataclass(frozen=True)
class Place:
    """Where an open suggestion stands among those of other workers.

    Attributes:
        observed: Observations of the experiment.
        ahead: Open suggestions that were made before it.
        taken: Whether one of those has the same assignments.
    """

    observed: int = 0
    ahead: int = 0
    taken: bool = False


def suggestion_metadata(
    origin: str, number: int, reruns: int, lease: Lease | None
) -> dict[str, Any]:
    """What a suggestion's metadata says of it; ``Suggestion.of_document`` reads it."""
    metadata: dict[str, Any] = {_ORIGIN: origin, _NUMBER: number}
    if reruns:
        metadata[_RERUNS] = reruns
    return metadata if lease is None else {**metadata, **lease.to_metadata()}
