"""The routes under ``/v1/``: from an HTTP request to the engine's answer and back."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.engine.routes.fields import read_fields
from nc_sigopt_strategy.engine.routes.table import find_route
from nc_sigopt_strategy.errors import (
    SigOptStrategyError,
    StoreAwayError,
    StoreBusyError,
    StoreGoneError,
)
from nc_sigopt_strategy.server.access import Doorkeeper, TokenBook
from nc_sigopt_strategy.server.answers import (
    API_HEADERS,
    LINGER_SECONDS,
    json_response,
    note_caller,
    refused,
)
from nc_sigopt_strategy.server.bodies import (
    contents_of,
    parse_body,
    parse_query,
    read_body,
    refuse_crowd,
)
from nc_sigopt_strategy.server.completing import Completing, is_new_token
from nc_sigopt_strategy.server.limits import RateLimit, Room
from nc_sigopt_strategy.server.log_lines import path_for_log
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.refusals import Disconnected, Refusal
from nc_sigopt_strategy.server.sharing import narrowed
from nc_sigopt_strategy.server.shelf import Shelf
from nc_sigopt_strategy.server.turns import Turns
from nc_sigopt_strategy.server.workers import Workers

API_PREFIX = "/v1/"
VERBS = ("GET", "POST", "PUT", "MERGE", "DELETE")
_BODY_VERBS = ("POST", "PUT", "MERGE")
# Whatever such a body becomes, it is small beside the limits.
_SMALL_BODY_BYTES = 64 * 1024
# What asks the sampler: the id of the experiment stands second.
_SUGGESTED_BY = (("experiments", "suggestions"), ("aiexperiments", "training_runs"))
_LOG = logging.getLogger(__name__)
JsonObject = dict[str, Any]


class Answering(Protocol):
    """What the engine is to the server."""

    def answer(self, method: str, path: list[str], data: dict[str, Any]) -> dict[str, Any]:
        """Answer one request; see ``EmbeddedDriver.answer``."""

    def check(self) -> None:
        """Raise if the store cannot be read."""


class Api:
    """SigOpt's REST API as an ASGI application.

    Args:
        driver: The engine; called from several threads at once.
        tokens: Where tokens are looked up.
        options: Limits.
        clock: Seconds, by which a token is remembered and its requests are counted.
        shelf: Keeps the files of runs; ``None`` where none are kept.
    """

    def __init__(
        self,
        driver: Answering,
        tokens: TokenBook,
        options: ServerOptions,
        clock: Callable[[], float] = time.monotonic,
        shelf: Shelf | None = None,
    ) -> None:
        self._driver = driver
        self._shelf = shelf
        self._options = options
        self._pool = Workers(options.concurrency, "engine")
        # A thread of its own: a flood of unknown tokens must not keep the engine's threads busy.
        self._token_pool = Workers(1, "tokens")
        # Large bodies have two threads: to parse and check them is work of Python's, and many at
        # once would keep its lock from everybody else.
        self._heavy = Workers(2, "bodies")
        self._tokens = tokens
        self._doorkeeper = Doorkeeper(tokens, self._token_pool.run, clock)
        self._reads = RateLimit(options.reads_per_second, clock)
        self._writes = RateLimit(options.writes_per_second, clock)
        self._turns = Turns(options.concurrency, options.max_waiting)
        self._held = Room(options.max_waiting)
        self._held_bytes = Room(options.max_held_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            response = await self._respond(scope, receive)
        except Disconnected:
            return
        await response(scope, receive, send)

    def close(self, seconds: float) -> int:
        """Wait for what is being worked on, at most so long.

        Returns:
            How many threads are still at work.
        """
        tokens = self._token_pool.close(0.0)
        return tokens + self._pool.close(seconds) + self._heavy.close(0.0)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        try:
            return await self._answer(scope, receive)
        except Refusal as refusal:
            return refused(refusal)
        except ApiError as error:
            return json_response(error.body(), error.status)
        except Disconnected:
            raise
        except SigOptStrategyError as error:
            # Such messages hold no password, but where the store is concerns no client.
            _LOG.error("%s %s: %s", scope["method"], path_for_log(scope), error)
            if isinstance(error, (StoreAwayError, StoreBusyError, StoreGoneError)):
                message = "The server's store is busy or away; try again later"
                body = {"message": message, "status": 503}
                return json_response(body, 503, {"retry-after": "5"})
            return _failed("The server's store failed; the server's log tells why")
        except Exception:
            _LOG.exception("%s %s failed", scope["method"], path_for_log(scope))
            return _failed("The server failed; its log tells why")

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        headers = Headers(scope=scope)
        length = headers.get("content-length")
        method: str = scope["method"]
        try:
            path = _path_of(scope)
            _check_route(method, path)
            token, caller = await self._doorkeeper.admit(headers.get("authorization"), method)
            note_caller(scope, caller.name)
            (self._reads if method == "GET" else self._writes).take(caller.id)
        except ApiError as error:
            raise await self._after_body(error, receive, length) from None
        has_body = method in _BODY_VERBS
        with self._held_bytes.claims() as claim_bytes, self._held.claims() as claim:
            body = await read_body(
                receive,
                length,
                limit=self._options.max_body_bytes,
                seconds=self._options.body_seconds,
                claim=claim_bytes if has_body else None,
            )
            # Only now: a client that takes its time over a body must not take others' places.
            claim(1)
            large = has_body and len(body) > _SMALL_BODY_BYTES
            if large:
                await self._claim_weight(body, claim_bytes)
            query: bytes = scope["query_string"]
            given = (
                functools.partial(parse_body, body)
                if has_body
                else functools.partial(parse_query, query)
            )
            base = self._base(scope)
            completing = Completing(self._tokens, self._shelf, token, caller, base)
            with self._turns.place(caller.id):
                async with self._turns.turn(caller.id, _experiment_asked(method, path)):
                    document, timing = await (self._heavy if large else self._pool).run(
                        self._work, method, path, given, completing
                    )
        if headers.get("x-response-content") == "skip" and not is_new_token(method, document):
            return Response(status_code=204, headers={**API_HEADERS, "server-timing": timing})
        return json_response(document, 200, {"server-timing": timing})

    async def _claim_weight(self, body: bytes, claim: Callable[[int], None]) -> None:
        """Claim the room for what a body becomes, beyond that of its bytes."""
        limit = self._options.max_held_bytes
        contents = await self._heavy.run(contents_of, body)
        refuse_crowd(contents)
        if contents.weight > limit:
            raise Refusal(413, "The body holds more values than the server has room for")
        claim(max(0, contents.weight - len(body)))

    def _base(self, scope: Scope) -> str:
        """The server's address as the client knows it."""
        if self._options.public_url is not None:
            return self._options.public_url.rstrip("/")
        return f"{scope['scheme']}://{Headers(scope=scope).get('host', '')}"

    async def _after_body(self, error: ApiError, receive: Receive, length: str | None) -> ApiError:
        """The refusal, once the body that nobody wants is out of the way."""
        seconds = min(LINGER_SECONDS, self._options.body_seconds)
        limit = self._options.max_body_bytes
        try:
            await read_body(receive, length, limit=limit, seconds=seconds, claim=None)
        except Refusal:
            if not isinstance(error, Refusal):
                return Refusal(error.status, error.message, close=True)
            error.close = True
        return error

    def _work(
        self,
        method: str,
        path: list[str],
        given: Callable[[], JsonObject],
        completing: Completing,
    ) -> tuple[JsonObject, str]:
        """Parse the request and answer it; in a thread, since both take their time."""
        data = given()
        # Chosen from the whole answer, of which the engine gives a part.
        has_fields = method in ("GET", "POST")
        fields = read_fields(data.pop("fields", None)) if has_fields else None
        completing.check(method, path, data)
        started = time.perf_counter()
        try:
            if completing.caller.share is not None:
                data = narrowed(self._driver.answer, completing.caller.share, path, data)
            document = self._driver.answer(method, path, data)
        except ApiError as error:
            if error.status == 405:
                raise _not_offered(error.message, path) from None
            raise
        seconds = time.perf_counter() - started
        # A property of the thread, so it is this request's.
        sampler = float(getattr(self._driver, "sampler_seconds", 0.0))
        store = max(0.0, seconds - sampler)
        document = completing.completed(document, method, fields)
        return document, f"sampler;dur={sampler * 1e3:.3f}, store;dur={store * 1e3:.3f}"


def _path_of(scope: Scope) -> list[str]:
    """The parts of the path after the prefix, each unquoted for itself."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("ascii", "replace")
    path = raw.partition(b"?")[0].decode("ascii")
    try:
        parts = [unquote_to_bytes(part).decode("utf-8") for part in path.split("/")[2:]]
    except UnicodeDecodeError:
        raise ApiError(404, "The path is not percent-encoded UTF-8") from None
    if any("\0" in part for part in parts):
        raise ApiError(404, "The path holds a NUL character")
    return parts


def _check_route(method: str, path: list[str]) -> None:
    """Refuse what the engine has no route for, before anybody's token is looked at."""
    if method in VERBS:
        try:
            find_route(method, path)
        except ApiError as error:
            if error.status != 405:
                raise
        else:
            return
    if not any(_has_route(verb, path) for verb in VERBS):
        raise ApiError(404, f"There is no path {API_PREFIX}{'/'.join(path)}"[:300])
    raise _not_offered(f"{method} is not offered for {'/'.join(path)}"[:300], path)


def _experiment_asked(method: str, path: list[str]) -> str | None:
    """The experiment of which a request asks a suggestion; ``None`` for other requests."""
    if method == "POST" and (path[0], *path[2:]) in _SUGGESTED_BY:
        return str(int(path[1]))
    return None


def _not_offered(message: str, path: list[str]) -> Refusal:
    allowed = ", ".join(verb for verb in VERBS if _has_route(verb, path))
    return Refusal(405, message, headers={"allow": allowed})


def _has_route(verb: str, path: list[str]) -> bool:
    try:
        find_route(verb, path)
    except ApiError:
        return False
    return True


def _failed(message: str) -> Response:
    return json_response({"message": message, "status": 500}, 500)
