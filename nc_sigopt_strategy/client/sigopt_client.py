"""The official client's names, imported so that neither folder nor environment can break it.

``import sigopt`` computes a default project from ``SIGOPT_PROJECT`` or the working directory's
name and raises ``ValueError`` where that is no project id, for instance in ``/`` (sigopt 8.8.3,
defaults.py). We never use that default, so a valid one stands in during the import;
``Settings`` is what reports a wrong ``SIGOPT_PROJECT``.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

MAX_QUOTED = 200
# Far more than is shown, so that no secret is cut where that ends.
_LOOKED_THROUGH = 10_000

_given = os.environ.get("SIGOPT_PROJECT")
os.environ["SIGOPT_PROJECT"] = "nc-tune"
try:
    from sigopt import Connection
    from sigopt.config import config as client_config
    from sigopt.exception import ApiException, SigOptException
    from sigopt.ratelimit import failed_status_rate_limit
    from sigopt.urllib3_patch import ExpiringHTTPConnectionPool as HttpPool
    from sigopt.urllib3_patch import ExpiringHTTPSConnectionPool as HttpsPool
finally:
    if _given is None:
        del os.environ["SIGOPT_PROJECT"]
    else:
        os.environ["SIGOPT_PROJECT"] = _given


@contextlib.contextmanager
def unthrottled() -> Iterator[None]:
    """Requests inside do not wait because of failures of earlier ones.

    The client counts the failures of the whole process, in a row, and from the fifth on sleeps
    ever longer before it raises: 1 to 3 s, after 25 failures 25 s and more (sigopt 8.8.3,
    ratelimit.py). Put this around each single request, so that the count never gets that far.
    """
    failed_status_rate_limit.clear()
    try:
        yield
    finally:
        failed_status_rate_limit.clear()


def without_token(connection: Any, said: object) -> str:
    """Text of a server or of the client, with the connection's secrets blotted out.

    Those are the API token and a proxy's password, also in the form in which they travel: a
    server's error page may show the request's headers.
    """
    text = str(said)
    for secret in sorted(_secrets(connection.impl.driver), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def quoted(connection: Any, said: object) -> str:
    """Text of a server or of the client for a message or a log: one line, short, no secrets.

    What would steer a terminal is written as an escape.
    """
    text = " ".join(without_token(connection, str(said)[:_LOOKED_THROUGH]).split())
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: MAX_QUOTED + 1])
    return text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + " ..."


def _secrets(driver: Any) -> set[str]:
    found = set()
    token = getattr(getattr(driver, "auth", None), "username", None)
    if token:
        found |= {token, _basic(token, "")}
    for proxy in (getattr(driver, "proxies", None) or {}).values():
        userinfo, at, _ = urlsplit(proxy).netloc.rpartition("@")
        if at:
            user, _, password = userinfo.partition(":")
            found |= {userinfo, _basic(unquote(user), unquote(password))}
            found |= {password, unquote(password)}
    return found - {""}


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


__all__ = [
    "ApiException",
    "Connection",
    "HttpPool",
    "HttpsPool",
    "SigOptException",
    "client_config",
    "failed_status_rate_limit",
    "quoted",
    "unthrottled",
    "without_token",
]
