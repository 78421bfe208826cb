"""The whole ASGI application: the API, the page about it, its description, its log."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.server.access import TokenBook
from nc_sigopt_strategy.server.answers import caller_of, json_response, refused
from nc_sigopt_strategy.server.api import API_PREFIX, Answering, Api
from nc_sigopt_strategy.server.heads import check_head
from nc_sigopt_strategy.server.health import Health
from nc_sigopt_strategy.server.home import pages
from nc_sigopt_strategy.server.log_lines import path_for_log
from nc_sigopt_strategy.server.openapi.document import openapi_document
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.refusals import Refusal
from nc_sigopt_strategy.server.shelf import PREFIX, Shelf

# Together with the time that requests have to end, less than ten seconds.
_END_SECONDS = 2.0
_LOG = logging.getLogger(__name__)
ACCESS_LOG = logging.getLogger("nc_sigopt_strategy.server.requests")


class App:
    """SigOpt's API under ``/v1/``, with pages at ``/``, ``/health`` and ``/openapi.json``.

    Args:
        driver: The engine.
        tokens: Where tokens are looked up.
        options: Limits.
        clock: Seconds, by which a token is remembered and its requests are counted.

    Attributes:
        abandoned: How many threads were still at work when it ended.
    """

    def __init__(
        self,
        driver: Answering,
        tokens: TokenBook,
        options: ServerOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options or ServerOptions()
        self._shelf = _shelf_of(driver, self._options)
        self._api = Api(driver, tokens, self._options, clock, self._shelf)
        self._open = {
            **pages(self._options.dashboard_url),
            "/openapi.json": json_response(openapi_document(), 200),
        }
        self._health = Health(driver.check)
        self.abandoned = 0
        self._routed: ASGIApp = self._route
        if self._options.access_log:
            self._routed = _Logged(self._route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry point."""
        if scope["type"] == "http":
            await self._routed(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            check_head(scope)
        except Refusal as refusal:
            await refused(refusal)(scope, receive, send)
            return
        path: str = scope["path"]
        raw: bytes = (scope.get("raw_path") or b"").partition(b"?")[0]
        if raw.startswith(b"/") and b"//" in raw:
            await _with_single_slashes(raw, scope["query_string"])(scope, receive, send)
            return
        if path.startswith(API_PREFIX):
            await self._api(scope, receive, send)
            return
        if self._shelf is not None and path.startswith(PREFIX):
            await self._shelf(scope, receive, send)
            return
        response = self._open.get(path)
        if path == "/health":
            response = await self._health.response()
        if response is None:
            response = _error(404, f"There is no path {path[:200]}")
        elif scope["method"] not in ("GET", "HEAD"):
            response = _error(405, f"{scope['method']} is not offered here", allow="GET, HEAD")
        await response(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.abandoned = self._api.close(_END_SECONDS) + self._health.close(0.0)
        if self._shelf is not None:
            self.abandoned += self._shelf.close(0.0)
        if self.abandoned:
            _LOG.warning(
                "%d threads still wait for the store; they are left behind", self.abandoned
            )
        await send({"type": "lifespan.shutdown.complete"})


def _shelf_of(driver: Answering, options: ServerOptions) -> Shelf | None:
    if options.files is None:
        return None

    def described(file_id: str) -> dict[str, Any] | None:
        try:
            return driver.answer("GET", ["files", file_id], {})
        except ApiError:
            return None

    return Shelf(options.files, options.max_file_bytes, described, options.body_seconds)


class _Logged:
    """Writes a line per request: verb, path, status, milliseconds, name of the token."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = "gone"

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._inner(scope, receive, noting)
        finally:
            milliseconds = (time.perf_counter() - started) * 1e3
            ACCESS_LOG.info(
                "%s %s %s %.1f ms %s", scope["method"], path_for_log(scope), status,
                milliseconds, caller_of(scope),
            )  # fmt: skip


def _with_single_slashes(path: bytes, query: bytes) -> Response:
    """To the same path without empty parts, where SigOpt's own server leads as well.

    A client whose ``api_url`` ends with a slash asks for ``//v1/...``. Status 308 keeps verb and
    body, and a path that begins with one slash leads to no other host.
    """
    place = re.sub(rb"/{2,}", b"/", path)
    if query:
        place += b"?" + query
    message = "Paths here have no empty parts"
    headers = {"location": place.decode("latin-1")}
    return json_response({"message": message, "status": 308}, 308, headers, last=True)


def _error(status: int, message: str, **headers: str) -> Response:
    return json_response({"message": message, "status": status}, status, headers)
