"""What single ops take, as a framework's own profiler tells."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

logger = logging.getLogger("nc_sigopt_strategy")

# Of what ran, this share has to be known by name, and of the ops that were asked for.
LEAST_KNOWN = 0.8
_RUNS, _LEAST_RUNS, _ENOUGH_SECONDS = 10, 3, 5.0


@dataclass(frozen=True)
class OpTimes:
    """The profile of one model on one batch.

    Attributes:
        seconds: Op name to what it takes, what follows it up to the next op and, as far as the
            profiler tells, conversions of what it reads to its type included, at least 0.
        total: Of all that ran, in seconds, above 0.
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


def as_it_is(name: str) -> str:
    """A name to which nothing was added."""
    return name


@dataclass(frozen=True)
class OpNames:
    """Which nodes are ops, or parts of them, by name.

    Attributes:
        asked: Names of the ops whose times are wanted.
        parts: Node to the op that it is a part of, for nodes whose op is not before them.
        stem: A node's name without what a runtime adds to it.
    """

    asked: Sequence[str]
    parts: Mapping[str, str] = field(default_factory=dict)
    stem: Callable[[str], str] = as_it_is

    def op_of(self, name: str) -> str | None:
        """The op that a node of this name is, or is part of; ``None`` if the name does not say."""
        known = self._known
        return known.get(name) or known.get(self.stem(name))

    def among(self, names: Iterable[str]) -> frozenset[str]:
        """Of what ops a node is that was made from nodes of these names.

        An op counts before what is a part of another: a sum is computed by the convolution that
        it follows, whatever it was chosen a type with.
        """
        named = {name: op for name in names if (op := self.op_of(name)) is not None}
        own = frozenset(op for name, op in named.items() if name == op)
        return own or frozenset(named.values())

    @cached_property
    def _known(self) -> dict[str, str]:
        """Name, also without what was added to it, to the op; a whole name before a bare one."""
        named = {**self.parts, **{op: op for op in self.asked}}
        return {**{self.stem(name): op for name, op in named.items()}, **named}


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
    """Which op the time of a node is: its own, or the one whose result reaches it.

    Where those of several ops do, it is the last of them: it ends a branch of its own.

    Args:
        nodes: In topological order.
        names: Tells ops and their parts.

    Attributes:
        ops: Those that there are.
    """

    def __init__(self, nodes: Iterable[NamedNode], names: OpNames) -> None:
        self._position: dict[str, int] = {}
        self._of: dict[str, str | None] = {}
        for node in nodes:
            op = names.op_of(node.name)
            if op is not None:
                self._position.setdefault(op, len(self._position))
            owner = self.last_of(node.reads) if op is None else op
            self._of |= dict.fromkeys((node.name, *node.makes), owner)
        self.ops = frozenset(self._position)

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


class Account:
    """Adds the times of nodes up.

    Args:
        total: Of all nodes, in seconds, above 0.
    """

    def __init__(self, total: float) -> None:
        self._total = total
        self._seconds: dict[str, float] = {}
        self._as_one: set[str] = set()
        self._unknown = 0.0

    def add(self, op: str | None, seconds: float) -> None:
        """What a node of an op took; of no op: what comes before all of them."""
        if op is not None:
            self._seconds[op] = self._seconds.get(op, 0.0) + seconds

    def leave_out(self, ops: Collection[str]) -> None:
        """Ops that ran as one: nobody can tell them apart."""
        self._as_one.update(ops)

    def add_unknown(self, seconds: float) -> None:
        """What a node took that may be of any op."""
        self._unknown += seconds

    def closed(self, asked: Collection[str], ops: Collection[str]) -> OpTimes | None:
        """The profile; ``None`` where so little is known that it could tell what is not true.

        Args:
            asked: The ops whose times are wanted.
            ops: Those that the model has by name: what is another's might count for the op before.
        """
        known, found = 1 - self._unknown / self._total, [op for op in asked if op in ops]
        seconds = {
            op: self._seconds[op] for op in found if op in self._seconds.keys() - self._as_one
        }
        if seconds and known >= LEAST_KNOWN and len(found) >= LEAST_KNOWN * len(asked):
            return OpTimes(seconds, self._total)
        logger.debug(
            "A profile is not used: it has %d of %d ops by name, and the nodes of %.0f %% of the "
            "time.",
            len(found), len(asked), 100 * known,
        )  # fmt: skip
        return None
