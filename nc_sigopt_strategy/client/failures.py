"""What went wrong between the client and a SigOpt server, in one error with a way out."""

from __future__ import annotations

import re
from typing import Any

from requests import exceptions as http

from nc_sigopt_strategy.client.bounded_http import RefusedAnswer
from nc_sigopt_strategy.client.checked_driver import UnusableAnswer
from nc_sigopt_strategy.client.projects import ProjectRefused
from nc_sigopt_strategy.client.sigopt_client import ApiException, quoted
from nc_sigopt_strategy.errors import ServerError
from nc_sigopt_strategy.settings.address import Address, parse_address

WAYS_OUT = (
    "Leave sigopt_api_token (and SIGOPT_API_TOKEN) out to use the embedded engine, which needs no "
    "server, or set sigopt_api_url (or SIGOPT_API_URL) to a SigOpt server that answers."
)
# Of an authority that the client's certificate is not from, of none shown, of a bad one: what
# OpenSSL calls the other side's alerts.
_CLIENT_CERT_ALERTS = re.compile(
    r"alert (certificate required|bad certificate|unknown ca|certificate (unknown|expired|revoked)"
    r"|access denied|handshake failure)|certificate required"
)
_PROXY_AUTHENTICATION = 407


def explain(connection: Any, address: Address, error: BaseException) -> ServerError:
    """The error for a failed request, without the request that the client's exception holds.

    Args:
        connection: To the server, for its secrets, which must not be shown, and its timeout.
        address: The server's.
        error: What the client raised.
    """
    url = address.url
    if isinstance(error, ProjectRefused):
        return _no_project(connection, url, error)
    if isinstance(error, ApiException):
        return _refusal(connection, url, error)
    cause = error.__cause__ or error
    innermost = _innermost(cause)
    if isinstance(innermost, RefusedAnswer):
        return ServerError(
            f"{url} answered, but not like a SigOpt server: the answer {innermost}.", WAYS_OUT
        )
    if isinstance(error, UnusableAnswer):
        return ServerError(
            f"{url} answered, but not like a SigOpt server: {quoted(connection, error)}", WAYS_OUT
        )
    if isinstance(cause, http.TooManyRedirects):
        return _redirect(url, cause)
    if isinstance(cause, http.ProxyError):
        return ServerError(
            f"The proxy on the way to the SigOpt server {url} failed: "
            f"{_reason(connection, cause)}.",
            "Check sigopt_proxy (or HTTP_PROXY and HTTPS_PROXY), its user and its password; "
            "NO_PROXY names hosts that need none.",
        )
    if isinstance(cause, http.SSLError):
        return _tls(connection, url, cause)
    if isinstance(cause, http.Timeout):
        seconds = connection.impl.driver.timeout
        return ServerError(
            f"The SigOpt server {url} cannot be reached: nothing came for {seconds:g} s.",
            f"Raise sigopt_timeout_seconds if the server is slow. {WAYS_OUT}",
        )
    if _CLIENT_CERT_ALERTS.search(str(cause)):
        return _tls(connection, url, cause)
    return ServerError(
        f"The SigOpt server {url} cannot be reached: {_reason(connection, cause)}.", WAYS_OUT
    )


def _no_project(connection: Any, url: str, error: ProjectRefused) -> ServerError:
    return ServerError(
        f"The SigOpt server {url} has no project {error.project_id!r}, and the API token may not "
        f"create it {_said(connection, error.refusal)}.",
        "Have it created by somebody who may, with "
        f"`sigopt create project --project {error.project_id}`, or set sigopt_project_id to one "
        "that is there.",
    )


def _refusal(connection: Any, url: str, error: Any) -> ServerError:
    said = _said(connection, error)
    if error.status_code in (401, 403):
        return ServerError(
            f"The SigOpt server {url} refuses the API token {said}.",
            f"Check sigopt_api_token. {WAYS_OUT}",
        )
    if error.status_code == _PROXY_AUTHENTICATION:
        return ServerError(
            f"The proxy on the way to the SigOpt server {url} wants another user or password "
            f"{said}.",
            "Check sigopt_proxy (or HTTP_PROXY).",
        )
    if error.status_code == 400 and "plain http" in str(error.message).lower():
        return ServerError(
            f"The SigOpt server {url} wants TLS {said}.", "Begin sigopt_api_url with https."
        )
    if error.status_code == 404:
        return ServerError(
            f"{url} answered, but not like a SigOpt server {said}.",
            f"Give the URL that /v1 comes after. {WAYS_OUT}",
        )
    return ServerError(f"The SigOpt server {url} failed {said}.", WAYS_OUT)


def _redirect(url: str, cause: Any) -> ServerError:
    target = parse_address(str(cause.response.headers.get("location", "")).partition("?")[0])
    there = "elsewhere" if target is None else f"to {target.url}"
    return ServerError(
        f"The SigOpt server {url} sends requests {there} (status {cause.response.status_code}), "
        "and redirects are not followed: they could take the API token to another server.",
        "Set sigopt_api_url to where the server really is.",
    )


def _tls(connection: Any, url: str, cause: BaseException) -> ServerError:
    reason = _reason(connection, cause)
    if "certificate verify failed" in reason.lower() or "doesn't match" in reason:
        return ServerError(
            f"The TLS certificate of the SigOpt server {url} is not trusted: {reason}.",
            "If its authority is your own, name its PEM file in sigopt_ca_bundle; if the name "
            "or the date is wrong, it needs another certificate.",
        )
    if _CLIENT_CERT_ALERTS.search(reason):
        return ServerError(
            f"The SigOpt server {url} refuses this side's TLS certificate, or wants one: "
            f"{reason}.",
            "Set sigopt_client_cert to a certificate that the server accepts, with its key.",
        )
    return ServerError(
        f"No TLS connection to the SigOpt server {url}: {reason}.",
        "Check whether the server speaks https at this port, and whether it wants a certificate "
        "of this side (sigopt_client_cert).",
    )


def _innermost(cause: BaseException) -> BaseException:
    """The innermost reason: the libraries wrap it in several layers of their own."""
    found: Any = cause
    while True:
        inner = getattr(found, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in found.args if isinstance(arg, BaseException)), None)
        if inner is None:
            return found  # type: ignore[no-any-return]
        found = inner


def _reason(connection: Any, cause: BaseException) -> str:
    # urllib3 puts the failing object in front of its text.
    text = re.sub(r"<[^<>]* object at 0x[0-9a-f]+>: ", "", str(_innermost(cause)))
    return quoted(connection, text).rstrip(".")


def _said(connection: Any, error: Any) -> str:
    return f"(status {error.status_code}: {quoted(connection, error.message)})"
