"""Which groups of ops are probed next: all alone if there is time, else the noisiest halved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Group = tuple[str, ...]


class ProbePlan:
    """Chooses one group after the other, as a function of what was found before.

    The last op comes first: it is the one that hurts most often, and what it took tells how many
    more can be afforded. Then come neighbours in groups that half of those are enough for, alone
    where they can be; and with the rest the group that is noisiest for its size is halved, and
    halved again, until its ops are told apart (group testing by splitting; Hwang, "A Method for
    Detecting All Defective Members in a Population by Group Testing", 1972).

    Args:
        members: Ops that can be probed, in graph order.
        found: Groups to the noise that an earlier process found of them.
    """

    def __init__(self, members: Sequence[str], found: Mapping[Group, float]) -> None:
        self._members = tuple(members)
        place = {name: position for position, name in enumerate(members)}
        self._found: dict[Group, float] = {}
        for group, noise in found.items():
            if group and all(name in place for name in group):
                self._found[tuple(sorted(group, key=place.__getitem__))] = noise
        # Failed ones are not tried again.
        self._failed: set[Group] = set()

    def size(self, affordable: int) -> int:
        """How many probes there will be in all, about.

        Args:
            affordable: How many there is time for in all.
        """
        return min(len(self._members), max(affordable, 1))

    def next(self, affordable: int) -> Group | None:
        """The next group, in graph order; ``None`` when every op is known alone.

        Args:
            affordable: How many probes there is time for in all.
        """
        if not self._members:
            return None
        last = self._members[-1:]
        if not self._is_known(last):
            return last
        for group in self._first_groups(affordable):
            if not self._covered(group):
                return group
        return self._half_of_the_noisiest()

    def tell(self, group: Group, noise: float | None) -> None:
        """What was found of a group; ``None`` if it could not be probed."""
        if noise is None:
            self._failed.add(group)
        else:
            self._found[group] = noise

    def _first_groups(self, affordable: int) -> list[Group]:
        rest = self._members[:-1]
        if affordable >= len(self._members):
            return [(name,) for name in rest]
        size = math.ceil(len(rest) / max(affordable // 2, 1))
        return [tuple(rest[start : start + size]) for start in range(0, len(rest), size)]

    def _is_known(self, group: Group) -> bool:
        return group in self._found or group in self._failed

    def _covered(self, group: Group) -> bool:
        """Whether each member is known in a group that is as small, or smaller."""
        known = {
            name for one in (*self._found, *self._failed) if len(one) <= len(group) for name in one
        }
        return self._is_known(group) or all(name in known for name in group)

    def _half_of_the_noisiest(self) -> Group | None:
        ranked = sorted(
            (group for group in self._found if len(group) > 1),
            key=lambda group: self._found[group] / len(group),
            reverse=True,
        )
        for group in ranked:
            middle = len(group) // 2
            for half in (group[middle:], group[:middle]):
                if not self._is_known(half) and not self._is_split(half):
                    return half
        return None

    def _is_split(self, group: Group) -> bool:
        """Whether all members are known alone."""
        return all(self._is_known((name,)) for name in group)
