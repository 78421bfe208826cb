"""A server that speaks SigOpt's API, at the other end of a socket."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from nc_sigopt_benchmarks.research.server_facts.step import NOBODY, OWNER, STRANGER
from nc_sigopt_strategy.errors import SigOptStrategyError
from nc_sigopt_strategy.settings.address import HTTPS, parse_address

_TIMEOUT_SECONDS = 150.0
# SigOpt's own server takes 50 changes a second, ours as many as its options say.
_TOO_MANY, _TRIES, _WAIT_SECONDS = 429, 60, 1.0
# Nobody's token.
_WRONG_TOKEN = "0" * 48


class ServerAwayError(SigOptStrategyError):
    """A server cannot be reached, or must not be sent the token."""


@dataclass(frozen=True)
class Request:
    """What goes over the wire, all names replaced.

    Attributes:
        verb: HTTP verb.
        path: From the first slash on, unescaped where it must stay as it is.
        query: Key to value; what is no text goes as JSON.
        body: Bytes to send, or ``None``.
        headers: In addition; one for ``Authorization`` replaces the token.
        sender: Whose token goes with it.
    """

    verb: str
    path: str
    query: dict[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    sender: str = OWNER


@dataclass(frozen=True)
class Answer:
    """A status code and JSON; the text itself where it is none, ``None`` for an empty body."""

    status: int
    body: Any


@dataclass
class Server:
    """One server.

    Args:
        url: Without ``/v1``.
        token: Of its API; no picture of the server shows it.
        plain_http_hosts: Hosts other than this machine that may see the token without TLS.
        wait: Called with seconds to wait where the server has had too much.

    Raises:
        ServerAwayError: The URL is none, or the token would go unencrypted over a network.
    """

    url: str
    token: str = field(repr=False)
    plain_http_hosts: tuple[str, ...] = ()
    wait: Callable[[float], None] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        address = parse_address(self.url)
        if address is None:
            raise ServerAwayError(
                "The URL of a server is not one.", "Give it like https://sigopt.example.org:8443."
            )
        if not address.may_see_token(self.plain_http_hosts):
            raise ServerAwayError(
                f"The token would go to {address} unencrypted.",
                f"Use https, or allow it with --plain-http {address.host}.",
            )
        self.url = address.url
        self._address = address

    def send(self, request: Request) -> Answer:
        """Send a request, and again while the server says that it had too many.

        Redirects are answers, and not followed.

        Raises:
            ServerAwayError: There is no answer.
        """
        for _ in range(_TRIES):
            answer = self._send(request)
            if answer.status != _TOO_MANY:
                break
            self.wait(_WAIT_SECONDS)
        return answer

    def _send(self, request: Request) -> Answer:
        headers = {"Content-Type": "application/json", **self._authorization(request.sender)}
        headers.update(request.headers)
        pairs = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in request.query.items()
        }
        # As it stands: a library would tidy up what is sent on purpose, such as two slashes, and
        # follow redirects, which are answers here.
        path = self._address.path + request.path + (f"?{urlencode(pairs)}" if pairs else "")
        kind: type[http.client.HTTPConnection] = http.client.HTTPConnection
        if self._address.scheme == HTTPS:
            kind = http.client.HTTPSConnection
        connection = kind(self._address.host, self._address.port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(request.verb, path, body=request.body, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerAwayError(
                f"{self.url} does not answer {request.verb} {request.path}: "
                f"{type(error).__name__}.",
                "See whether the server runs, and whether its certificate is trusted.",
            ) from error
        finally:
            connection.close()
        try:
            return Answer(response.status, json.loads(content) if content else None)
        except ValueError:
            return Answer(response.status, content.decode("utf-8", "replace"))

    def _authorization(self, sender: str) -> dict[str, str]:
        if sender == NOBODY:
            return {}
        token = _WRONG_TOKEN if sender == STRANGER else self.token
        return {"Authorization": f"Basic {base64.b64encode(f'{token}:'.encode()).decode()}"}
