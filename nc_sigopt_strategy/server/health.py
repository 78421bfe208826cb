"""``/health``: whether the store can be read, asked at most once a second."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from starlette.responses import Response

from nc_sigopt_strategy.errors import SigOptStrategyError
from nc_sigopt_strategy.server.answers import json_response
from nc_sigopt_strategy.server.workers import Workers

# Whoever asks would not wait longer.
ANSWER_SECONDS = 3.0
_KEPT_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class Health:
    """Answers with 200 or 503, within seconds, whatever the store does.

    It needs no token, so however many ask, one at a time looks into the store.

    Args:
        check: Reads something from the store; raises if it cannot.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._workers = Workers(1, "health")
        self._looking: asyncio.Task[bool] | None = None
        self._known: tuple[float, bool] | None = None
        self._was_well = True

    async def response(self) -> Response:
        """The answer to a request."""
        well = await self._well()
        if well != self._was_well:
            self._was_well = well
            _LOG.warning("The store can %s", "be read again" if well else "not be read")
        if well:
            return json_response({"status": "ok"}, 200)
        message = "The server's store is busy or away; try again later"
        return json_response({"message": message, "status": 503}, 503, {"retry-after": "5"})

    def close(self, seconds: float) -> int:
        """Wait for a look into the store that is under way; see ``Workers.close``."""
        return self._workers.close(seconds)

    async def _well(self) -> bool:
        if self._known is not None and time.monotonic() - self._known[0] < _KEPT_SECONDS:
            return self._known[1]
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())
        try:
            # Not cancelled: the thread goes on, and the next one who asks waits for it as well.
            return await asyncio.wait_for(asyncio.shield(self._looking), ANSWER_SECONDS)
        except asyncio.TimeoutError:
            return False

    async def _look(self) -> bool:
        try:
            await self._workers.run(self._check)
            well = True
        except SigOptStrategyError:
            well = False
        except Exception:
            _LOG.exception("Looking into the store failed")
            well = False
        self._known = (time.monotonic(), well)
        return well
