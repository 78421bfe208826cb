"""Who waits for whom before a thread is taken, so that nobody takes all threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterator
from weakref import WeakValueDictionary

from nc_sigopt_strategy.server.refusals import too_many

# Threads that the suggestions of one experiment take: one at work, one that reads ahead.
_SUGGESTING = 2


class Turns:
    """For one event loop.

    The suggestions of an experiment are made one after the other: waiting in threads, those of
    one experiment would keep all threads from everybody else. And the requests of one token take
    at most half of the threads, so that whoever has another one is never behind all of them.

    Args:
        concurrency: Threads in all.
        places: Requests that may be held in all.
    """

    def __init__(self, concurrency: int, places: int) -> None:
        self._threads_of_one = max(1, concurrency // 2)
        self._places_of_one = max(1, places - concurrency)
        # Forgotten when nobody waits for it any more.
        self._turns: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()
        self._held: Counter[Hashable] = Counter()

    @contextlib.contextmanager
    def place(self, caller: Hashable) -> Iterator[None]:
        """One of the requests of a token, until the block ends.

        Raises:
            Refusal: 429, it has too many already; some places are left for others.
        """
        if self._held[caller] >= self._places_of_one:
            raise too_many("Too many requests with one token are waiting")
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]

    @contextlib.asynccontextmanager
    async def turn(self, caller: Hashable, experiment: str | None) -> AsyncIterator[None]:
        """Wait until a thread may be taken.

        Args:
            caller: The token.
            experiment: The experiment that a suggestion is asked of; ``None`` for other requests.
        """
        async with contextlib.AsyncExitStack() as stack:
            if experiment is not None:
                await stack.enter_async_context(self._of(("of", experiment), _SUGGESTING))
            # Last: who waits for an experiment takes no thread of its token's others.
            await stack.enter_async_context(self._of(caller, self._threads_of_one))
            yield

    def _of(self, key: Hashable, size: int) -> asyncio.Semaphore:
        return self._turns.setdefault(key, asyncio.Semaphore(size))
