"""Rates per token, and how many requests are held at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from nc_sigopt_strategy.server.refusals import too_many

# Buckets of tokens that have not been seen for longest are forgotten beyond this number.
_MAX_BUCKETS = 4096


class RateLimit:
    """So many requests per key and second, with a burst of one second's worth.

    Args:
        per_second: The rate; 0 for no limit.
        clock: Seconds; for tests.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> None:
        """Count one request.

        Raises:
            Refusal: 429, the key has used up its rate.
        """
        if self._rate <= 0:
            return
        now = self._clock()
        left, since = self._buckets.get(key, (float(self._rate), now))
        left = min(float(self._rate), left + (now - since) * self._rate)
        allowed = left >= 1
        self._buckets[key] = (left - 1 if allowed else left, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise too_many(f"More than {self._rate} requests per second with one token")


class Room:
    """How much is held at the same time: requests, or bytes of bodies.

    Args:
        size: The most.
    """

    def __init__(self, size: int) -> None:
        self._free = size

    @contextmanager
    def claims(self) -> Iterator[Callable[[int], None]]:
        """A function that claims so many places, until the block ends.

        It raises a ``Refusal`` with status 429 when there is no room.
        """
        claimed = 0

        def claim(count: int) -> None:
            nonlocal claimed
            if count > self._free:
                raise too_many("The server is busy")
            self._free -= count
            claimed += count

        try:
            yield claim
        finally:
            self._free += claimed
