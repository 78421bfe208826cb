"""What a request brings: its body or its query, read within limits and parsed strictly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.types import Receive

from nc_sigopt_strategy.engine.api_error import bad_request
from nc_sigopt_strategy.server.refusals import Disconnected, Refusal

_MAX_QUERY_KEYS = 50
# 2,500 observations with 30 metrics and 150 parameters each are below both.
MAX_CONTAINERS, MAX_SEPARATORS = 100_000, 1_000_000
_CONTAINER_BYTES, _VALUE_BYTES = 232, 100
_COUNTED_BYTES = 64 * 1024


async def read_body(
    receive: Receive,
    content_length: str | None,
    *,
    limit: int,
    seconds: float,
    claim: Callable[[int], None] | None,
) -> bytes:
    """The whole body.

    Args:
        receive: ASGI's.
        content_length: The header; a body that says that it is too long is not read.
        limit: Largest size in bytes.
        seconds: How long the client may take.
        claim: Called with the size of each part that is kept, before it is. ``None`` for a
            request whose body does not matter: it is read, because a client that is still
            sending does not listen, and thrown away.

    Raises:
        Refusal: 413 too large, 408 too slow, or what ``claim`` raises.
        Disconnected: The client went away.
    """
    if content_length is not None and content_length.isdigit() and int(content_length) > limit:
        raise _too_large(limit)
    try:
        return await asyncio.wait_for(_collect(receive, limit, claim), seconds)
    except asyncio.TimeoutError:
        raise Refusal(
            408, f"The body did not arrive within {seconds:g} seconds", close=True
        ) from None


async def _collect(receive: Receive, limit: int, claim: Callable[[int], None] | None) -> bytes:
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if claim is not None:
            claim(len(part))
            parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


@dataclass(frozen=True)
class Contents:
    """How much a body of JSON holds, counted without parsing it.

    Attributes:
        containers: Objects and lists, of any level.
        separators: Commas and colons between values.
        weight: About how many bytes of memory it becomes when it is parsed; rather more than
            fewer. The sizes are CPython's: of a small dict or list, of a number or short string
            with its place in one, and of text, which takes four bytes per character as soon as
            one of them lies beyond the Basic Multilingual Plane.
    """

    containers: int
    separators: int
    weight: int


def contents_of(body: bytes) -> Contents:
    """Count what a body holds, beyond its texts; of what is no JSON the result means nothing.

    Python's lock is held while one piece is counted, and others run in between.
    """
    containers = separators = start = 0
    inside = False
    while start < len(body):
        stop = start + _COUNTED_BYTES
        part = body[start:stop]
        if (len(part) - len(part.rstrip(b"\\"))) % 2:  # what it escapes belongs to this piece
            stop += 1
        part = body[start:stop].replace(b"\\\\", b"").replace(b'\\"', b"")
        texts = part.split(b'"')
        values = b"".join(texts[inside::2])
        containers += values.count(b"{") + values.count(b"[")
        separators += values.count(b",") + values.count(b":")
        inside ^= len(texts) % 2 == 0
        start = stop
    weight = 2 * (len(body) if body.isascii() else 4 * len(body))
    weight += _CONTAINER_BYTES * containers + _VALUE_BYTES * separators
    return Contents(containers, separators, weight)


def refuse_crowd(contents: Contents) -> None:
    """Refuse a body of more values than any request of SigOpt's needs.

    The parser does not let others run until it is through, nor does the collector of garbage
    afterwards. The largest request is 2,500 observations at once.

    Raises:
        Refusal: 413.
    """
    if contents.containers > MAX_CONTAINERS or contents.separators > MAX_SEPARATORS:
        raise Refusal(
            413,
            f"The body holds more than {MAX_CONTAINERS} objects and lists, or more than "
            f"{MAX_SEPARATORS // 2} values",
        )


def parse_body(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty body is an empty object.

    Raises:
        ApiError: 400, it is not UTF-8, not JSON, not an object, has a key twice, or holds
            a number that JSON does not have.
    """
    if not body.strip():
        return {}
    try:
        # Decoded here: given bytes, the parser would guess at UTF-16 and UTF-32 too.
        parsed = json.loads(
            body.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_constant
        )
    except UnicodeDecodeError:
        raise bad_request("The body is not UTF-8") from None
    except RecursionError:
        raise bad_request("The body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise bad_request(f"The body is not JSON: {error}") from None
    except ValueError:
        # Python reads no integers of thousands of digits, which takes time that grows with the
        # square of their number.
        raise bad_request("The body is not JSON for this server: a number is too long") from None
    if not isinstance(parsed, dict):
        raise bad_request(f"The body must be a JSON object, got {type(parsed).__name__}")
    return parsed


def parse_query(query: bytes) -> dict[str, Any]:
    """The keys and values of a query string, all of them text.

    Raises:
        ApiError: 400, a key is there twice, or it is not percent-encoded UTF-8.
    """
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_QUERY_KEYS,
        )
    except ValueError as error:
        raise bad_request(f"The query cannot be read: {error}") from None
    return _distinct(pairs)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise bad_request(f"Duplicate key: {key[:100]}")
        found[key] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise bad_request(f"{text} is not JSON")


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"The body is larger than {limit} bytes", close=True)
