"""What single ops take, as a framework's own profiler tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OpTimes:
    """The profile of one model on one batch.

    Attributes:
        seconds: Op name to what it takes, what follows it up to the next op included, at least 0;
            conversions between types are nobody's.
        total: Of all that ran, conversions included, in seconds, above 0.
    """

    seconds: Mapping[str, float]
    total: float

    def of(self, names: Sequence[str]) -> float | None:
        """What several ops take together, in seconds; ``None`` where one of them is not told."""
        if any(name not in self.seconds for name in names):
            return None
        return sum(self.seconds[name] for name in names)


def least_of(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each node's shortest time over several runs, which other work can only make longer.

    Args:
        runs: Node to seconds, one mapping for each run; nodes that some run lacks are left out.
    """
    if not runs:
        return {}
    everywhere = set.intersection(*(set(run) for run in runs))
    return {name: min(run[name] for run in runs) for name in runs[0] if name in everywhere}
