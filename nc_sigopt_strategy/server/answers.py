"""Responses, and the headers that all of them carry."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nc_sigopt_strategy.server.refusals import Refusal

CALLER_KEY = "nc_sigopt.caller"

# How long what a refused client still sends is read: long enough for it to look at the answer.
LINGER_SECONDS = 2.0

API_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


class LastResponse(Response):
    """An answer after which the connection is closed, though the client may still be sending.

    Closing at once would reset the connection, and the client would never see the answer. So
    what it sends is read and thrown away for a moment.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer and linger."""
        self.headers["connection"] = "close"
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_discard(receive), LINGER_SECONDS)
        await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Receive) -> None:
    more = True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body", False)


def json_response(
    document: Mapping[str, Any],
    status: int,
    headers: Mapping[str, str] | None = None,
    *,
    last: bool = False,
) -> Response:
    """A JSON answer that nobody may keep.

    Args:
        document: What it says.
        status: HTTP status code.
        headers: In addition to the usual ones.
        last: Whether the connection is closed after it.
    """
    # ASCII only: a lone surrogate in a message could not be encoded otherwise.
    body = json.dumps(document, separators=(",", ":")).encode("ascii")
    kind = LastResponse if last else Response
    return kind(body, status, {**API_HEADERS, **(headers or {})}, media_type="application/json")


def refused(refusal: Refusal) -> Response:
    """The answer to a request that is refused."""
    return json_response(refusal.body(), refusal.status, refusal.headers, last=refusal.close)


def note_caller(scope: Scope, name: str) -> None:
    """Keep the name of a request's token for the log."""
    scope[CALLER_KEY] = name


def caller_of(scope: Scope) -> str:
    """The name of a request's token; ``-`` when none was let in."""
    return str(scope.get(CALLER_KEY, "-"))
