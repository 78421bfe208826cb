"""Who sends a request: the token in its header, looked up and remembered for a moment."""

from __future__ import annotations

import base64
import binascii
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from nc_sigopt_strategy.errors import StoreError
from nc_sigopt_strategy.server.refusals import EXPIRED, INVALID_PERMISSIONS, REVOKED, Refusal
from nc_sigopt_strategy.server.sharing import Share
from nc_sigopt_strategy.server.tokens import LAST_USED_SECONDS, READ, Token, digest_of

# A revoked token is refused after at most this time, by every server on the same store.
CACHE_SECONDS = 5.0
_CACHE_SIZE = 4096
_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class TokenBook(Protocol):
    """Where tokens are looked up: a ``TokenStore``, or something simpler in a test."""

    def find(self, digest: str) -> Token | None:
        """The token with this digest."""

    def touch(self, token: Token, now: int) -> None:
        """Remember that a token was used."""

    def share(self, share: Share, by: Token, expires: int) -> str:
        """Make a guest token; see ``TokenStore.share``."""


class InThread(Protocol):
    """Runs a blocking function elsewhere and waits for its result."""

    def __call__(self, work: Callable[..., _Result], *args: Any) -> Awaitable[_Result]:
        """Run ``work(*args)``."""


class Doorkeeper:
    """Lets requests in by their token. For one event loop; lookups run in threads.

    Args:
        book: Where tokens are looked up.
        in_thread: Runs a lookup without holding up the loop.
        clock: Seconds, by which a token is remembered.
    """

    def __init__(
        self, book: TokenBook, in_thread: InThread, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._book = book
        self._in_thread = in_thread
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Token | None]] = OrderedDict()
        self._touched: dict[int, float] = {}

    async def admit(self, header: str | None, method: str) -> tuple[str, Token]:
        """The token that a request carries, and what is known about it.

        Args:
            header: The ``Authorization`` header.
            method: HTTP verb.

        Raises:
            Refusal: 401 without a token, 400 for a malformed header, 403 for an unknown,
                revoked or expired token and for one that may only read.
            StoreError: The token could not be looked up.
        """
        text = token_in(header)
        found = await self._find(digest_of(text))
        if found is None:
            raise Refusal(403, "Unknown token")
        if found.revoked:
            raise Refusal(403, "This token was revoked", token_status=REVOKED)
        if found.expires is not None and found.expires < time.time():
            raise Refusal(403, "This token has expired", token_status=EXPIRED)
        if found.scope == READ and method != "GET":
            raise Refusal(
                403,
                f"This token may only read, so it may not {method}",
                token_status=INVALID_PERMISSIONS,
            )
        return text, found

    async def _find(self, digest: str) -> Token | None:
        now = self._clock()
        until, found = self._known.get(digest, (0.0, None))
        if until > now:
            return found
        found = await self._in_thread(self._look_up, digest)
        self._known[digest] = (now + CACHE_SECONDS, found)
        self._known.move_to_end(digest)
        if len(self._known) > _CACHE_SIZE:
            self._known.popitem(last=False)
        return found

    def _look_up(self, digest: str) -> Token | None:
        found = self._book.find(digest)
        if found is not None and not found.revoked and found.share is None:
            self._touch(found)
        return found

    def _touch(self, token: Token) -> None:
        now = time.time()
        if now - max(token.last_used or 0, self._touched.get(token.id, 0.0)) < LAST_USED_SECONDS:
            return
        self._touched[token.id] = now
        # Aside, since a held write lock must keep nobody from being let in. That is one thread
        # per token and ten minutes.
        aside = threading.Thread(target=self._note, args=(token, int(now)), daemon=True)
        aside.start()

    def _note(self, token: Token, now: int) -> None:
        try:
            self._book.touch(token, now)
        except StoreError as error:
            # When it was used last is not worth a refused request.
            _LOG.warning("The use of token %s was not noted: %s", token.name, error)


def token_in(header: str | None) -> str:
    """The token in an ``Authorization`` header: the user name of HTTP Basic.

    Raises:
        Refusal: 401 without one, 400 for a header that is not Basic.
    """
    if header is None:
        raise _no_token()
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise Refusal(400, "The Authorization header must be HTTP Basic, the token its user name")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise Refusal(400, "The Authorization header is not valid HTTP Basic") from None
    # Without a colon it is all user name, as SigOpt's server takes it.
    token = text.partition(":")[0]
    if not token:
        raise Refusal(400, "The Authorization header names no user, which the token would be")
    return token


def _no_token() -> Refusal:
    return Refusal(
        401,
        "No token: send it as the user name of HTTP Basic authentication",
        headers={"www-authenticate": 'Basic realm="SigOpt API token"'},
    )
