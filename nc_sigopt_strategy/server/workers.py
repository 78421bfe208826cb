"""Threads for what blocks, which an end does not wait for for ever."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class Workers:
    """A pool of threads that an event loop hands work to.

    Args:
        count: Threads.
        name: How they are called.
    """

    def __init__(self, count: int, name: str) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(count, thread_name_prefix=name)
        self._under_way: set[concurrent.futures.Future[Any]] = set()

    async def run(self, work: Callable[..., _Result], *args: Any) -> _Result:
        """Run ``work(*args)`` in a thread and wait for its result."""
        future = self._pool.submit(work, *args)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return await asyncio.wrap_future(future)

    def close(self, seconds: float) -> int:
        """Take no more work, and wait for what is under way.

        Args:
            seconds: At most so long.

        Returns:
            How many threads are still at work.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        left = concurrent.futures.wait(self._under_way.copy(), seconds).not_done
        return len(left)
