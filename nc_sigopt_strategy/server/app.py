"""The whole ASGI application: the API, the page about it, its description, its log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.server.access import TokenBook
from nc_sigopt_strategy.server.answers import caller_of, json_response
from nc_sigopt_strategy.server.api import API_PREFIX, Answering, Api
from nc_sigopt_strategy.server.home import pages
from nc_sigopt_strategy.server.openapi.document import openapi_document
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.shelf import PREFIX, Shelf

ACCESS_LOG = logging.getLogger("nc_sigopt_strategy.server.requests")


class App:
    """SigOpt's API under ``/v1/``, with pages at ``/``, ``/health`` and ``/openapi.json``.

    Args:
        driver: The engine.
        tokens: Where tokens are looked up.
        options: Limits.
        clock: Seconds, by which a token is remembered.
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
            "/health": json_response({"status": "ok"}, 200),
            "/openapi.json": json_response(openapi_document(), 200),
        }
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
        path: str = scope["path"]
        if path.startswith(API_PREFIX):
            await self._api(scope, receive, send)
            return
        if self._shelf is not None and path.startswith(PREFIX):
            await self._shelf(scope, receive, send)
            return
        response = self._open.get(path)
        if response is None:
            response = _error(404, f"There is no path {path[:200]}")
        elif scope["method"] not in ("GET", "HEAD"):
            response = _error(405, f"{scope['method']} is not offered here", allow="GET, HEAD")
        await response(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._api.close()
        await send({"type": "lifespan.shutdown.complete"})


def _shelf_of(driver: Answering, options: ServerOptions) -> Shelf | None:
    if options.files is None:
        return None

    def described(file_id: str) -> dict[str, Any] | None:
        try:
            return driver.answer("GET", ["files", file_id], {})
        except ApiError:
            return None

    return Shelf(options.files, options.max_file_bytes, described)


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
            # The path as it came: percent-encoded, so it cannot break the line. The query may
            # hold anything and is left out.
            raw = scope.get("raw_path") or scope["path"].encode("ascii", "backslashreplace")
            path = raw.partition(b"?")[0].decode("ascii", "backslashreplace")[:300]
            ACCESS_LOG.info(
                "%s %s %s %.1f ms %s", scope["method"], path, status, milliseconds,
                caller_of(scope),
            )  # fmt: skip


def _error(status: int, message: str, **headers: str) -> Response:
    return json_response({"message": message, "status": status}, status, headers)
