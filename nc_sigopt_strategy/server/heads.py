"""Requests whose head can be read in two ways.

A proxy in front that reads such a head the other way lets through what it meant to check: a second
request hidden in a body, or another token than the one that counts here. So nothing is chosen, and
the connection is closed (RFC 9112, section 6.1; RFC 9110, section 5.3).
"""

from __future__ import annotations

from collections import Counter

from starlette.types import Scope

from nc_sigopt_strategy.server.refusals import Refusal

# Headers that mean something here and that a request has once or not at all.
_SINGLE = (b"authorization", b"content-type", b"host", b"transfer-encoding", b"x-response-content")


def check_head(scope: Scope) -> None:
    """Refuse a request that somebody else may understand otherwise.

    Args:
        scope: ASGI's, of an HTTP request.

    Raises:
        Refusal: 400, after which the connection is closed.
    """
    counts = Counter(name for name, _ in scope["headers"])
    for name in _SINGLE:
        if counts[name] > 1:
            raise Refusal(
                400, f"The header {name.decode()} is there {counts[name]} times", close=True
            )
    if not counts[b"transfer-encoding"]:
        return
    if counts[b"content-length"]:
        raise Refusal(
            400, "A request has either Content-Length or Transfer-Encoding, not both", close=True
        )
    if scope.get("http_version") == "1.0":
        raise Refusal(400, "HTTP/1.0 has no Transfer-Encoding", close=True)
