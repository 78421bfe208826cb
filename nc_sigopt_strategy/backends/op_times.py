"""What single ops take, as a framework's own profiler tells."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

logger = logging.getLogger("nc_sigopt_strategy")

# Of what ran, this share has to be known by name, and of the ops that were asked for.
LEAST_KNOWN = 0.8
_RUNS, _LEAST_RUNS, _ENOUGH_SECONDS = 10, 3, 5.0


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


def repetitions() -> Iterator[int]:
    """Counts runs under a profiler: ten, or as few as three where those take seconds."""
    begun = time.monotonic()
    for run in range(_RUNS):
        if run >= _LEAST_RUNS and time.monotonic() - begun > _ENOUGH_SECONDS:
            return
        yield run


@dataclass(frozen=True)
class NamedNode:
    """A node of a graph.

    Attributes:
        name: Its own.
        reads: Names of the values that it reads; constants may be among them.
        makes: Names of the values that it makes.
    """

    name: str
    reads: tuple[str, ...]
    makes: tuple[str, ...]


class Owners:
    """Which op the time of a node is: the op itself, or the one whose result reaches it.

    Where those of several ops do, it is the last of them: it ends a branch of its own.

    Args:
        nodes: In topological order.
        ops: Node to op, for the nodes that are ops.
    """

    def __init__(self, nodes: Iterable[NamedNode], ops: Mapping[str, str]) -> None:
        self._position: dict[str, int] = {}
        self._of: dict[str, str | None] = {}
        for node in nodes:
            op = ops.get(node.name)
            if op is not None:
                self._position.setdefault(op, len(self._position))
            owner = self.last_of(node.reads) if op is None else op
            self._of |= dict.fromkeys((node.name, *node.makes), owner)

    def knows(self, name: str) -> bool:
        """Whether there is a node or a value of this name."""
        return name in self._of

    def of(self, name: str) -> str | None:
        """The op of a node or of a value; ``None`` for what comes before every op."""
        return self._of[name]

    def last_of(self, names: Iterable[str]) -> str | None:
        """The last op that any of these values is of; ``None`` where there is none."""
        owners = {owner for name in names if (owner := self._of.get(name)) is not None}
        return max(owners, key=self._position.__getitem__, default=None)


def told_enough(
    times: OpTimes, ops: Collection[str], asked: Collection[str], unknown: float
) -> bool:
    """Whether a profile may be believed: what has no name may be any op's.

    Args:
        times: The profile.
        ops: Those of the ops asked for that the model has by name.
        asked: All of them.
        unknown: Seconds of nodes that nobody knows where they belong.
    """
    known = 1 - unknown / times.total
    if known >= LEAST_KNOWN and len(ops) >= LEAST_KNOWN * len(asked) and times.seconds:
        return True
    logger.debug(
        "A profile is not used: %d of %d ops are in it by name, and nodes of %.0f %% of the time.",
        len(ops), len(asked), 100 * known,
    )  # fmt: skip
    return False
