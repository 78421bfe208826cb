"""A connection to a SigOpt server: made as the settings say, and checked before it is used."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from requests.utils import get_environ_proxies, select_proxy

from nc_sigopt_strategy.client.bounded_http import BoundedSession
from nc_sigopt_strategy.client.checked_driver import CheckedDriver
from nc_sigopt_strategy.client.failures import WAYS_OUT, explain
from nc_sigopt_strategy.client.projects import ensure_project
from nc_sigopt_strategy.client.sigopt_client import Connection, SigOptException
from nc_sigopt_strategy.errors import ServerError, SettingsError
from nc_sigopt_strategy.settings.address import Address, is_loopback, parse_address
from nc_sigopt_strategy.settings.server_options import checked_url
from nc_sigopt_strategy.settings.settings import Settings

logger = logging.getLogger("nc_sigopt_strategy")

# What the token document of ``nc-sigopt serve`` says under "engine".
OUR_ENGINE = "nc_sigopt_strategy"


@dataclass(frozen=True)
class Server:
    """A SigOpt server that answers and knows the token.

    Attributes:
        connection: A ``sigopt.Connection`` to it.
        address: Where it is.
        is_ours: Whether it is ``nc-sigopt serve``.
    """

    connection: Any
    address: Address
    is_ours: bool


def open_server(token: str, settings: Settings, *, writes: bool = True) -> Server:
    """Connect to a SigOpt server and check that it can be used.

    The project of a new experiment is there afterwards.

    Args:
        token: SigOpt API token.
        settings: Where the server is, and how to connect.
        writes: Whether anything is to be made or changed there; if not, no project is made.

    Raises:
        SettingsError: The token would travel without TLS, or the server's URL is none.
        ServerError: The server cannot be reached, refuses the token or answers nonsense; the
            token may only read; or the project cannot be had.
    """
    connection = Connection(client_token=token)
    address = _address_for(connection, settings)
    _configure(connection, address, settings)
    try:
        is_ours = _check(connection, address, settings, writes=writes)
        return Server(connection, address, is_ours)
    except SigOptException as error:
        problem = explain(connection, address, error)
    # Raised here and not in the handler: as its context the client's exception would hang on to
    # the request, and with it to the token.
    raise problem


def _address_for(connection: Any, settings: Settings) -> Address:
    if settings.sigopt_api_url is not None:
        return settings.sigopt_api_url
    # The client's own URL, which may come from the environment as it is now.
    found = connection.impl.driver.api_url
    address = checked_url("SIGOPT_API_URL", found)
    if address is None:
        raise SettingsError(f"{found!r} is not a URL of a server.")
    return address


def _configure(connection: Any, address: Address, settings: Settings) -> None:
    driver = connection.impl.driver
    connection.set_api_url(address.url)
    connection.set_timeout(settings.sigopt_timeout_seconds)
    if settings.sigopt_ca_bundle is not None:
        connection.set_verify_ssl_certs(str(settings.sigopt_ca_bundle))
    elif driver.verify_ssl_certs is False and address.scheme == "https":
        logger.warning(
            "Whether %s is the right server is not checked, because "
            "SIGOPT_API_NO_VERIFY_SSL_CERTS is set.",
            address.url,
        )
    _set_client_cert(connection, settings)
    _set_proxy(connection, address, settings)
    _refuse_plain_http(connection, address, settings)
    driver.session = BoundedSession()
    # A redirect turns a POST into a GET, and may lead the token elsewhere.
    driver.session.max_redirects = 0
    connection.impl.driver = CheckedDriver(driver)


def _set_client_cert(connection: Any, settings: Settings) -> None:
    given = settings.sigopt_client_cert
    if isinstance(given, tuple):
        connection.set_client_ssl_certs(tuple(str(path) for path in given))
    elif given is not None:
        connection.set_client_ssl_certs(str(given))


def _set_proxy(connection: Any, address: Address, settings: Settings) -> None:
    if settings.sigopt_proxy is not None:
        proxy = settings.sigopt_proxy.reveal()
    elif is_loopback(address.host):
        # The environment's proxy is another machine, which has its own loopback.
        proxy = ""
    else:
        return
    connection.set_proxies({"http": proxy, "https": proxy})


def _refuse_plain_http(connection: Any, address: Address, settings: Settings) -> None:
    named = settings.sigopt_plain_http_hosts
    if not address.may_see_token(named):
        raise SettingsError(
            f"The API token would go to {address.url} without TLS, for all on the way to read.",
            f"Use https, or allow it with sigopt_plain_http_hosts=[{address.host!r}].",
        )
    if address.scheme == "https":
        return
    proxies = connection.impl.driver.proxies or get_environ_proxies(address.url)
    proxy = parse_address(select_proxy(address.url, proxies) or "")
    if proxy is not None and not proxy.may_see_token(named):
        raise SettingsError(
            f"The API token would go to the proxy {proxy.url} without TLS, because "
            f"{address.url} has none.",
            f"Use https for the server, or add {proxy.host!r} to sigopt_plain_http_hosts.",
        )


def _check(connection: Any, address: Address, settings: Settings, *, writes: bool) -> bool:
    """Whether the server is ours, after checking that it can be used.

    Raises:
        ServerError: It cannot.
        sigopt.exception.SigOptException: A request failed.
    """
    token = connection.tokens("self").fetch().to_json()
    if token.get("object") != "token":
        raise ServerError(
            f"{address.url} answered, but not like a SigOpt server: it was asked about the token, "
            "and its answer is none.",
            WAYS_OUT,
        )
    if writes and token.get("permissions") == "read":
        raise ServerError(
            f"The API token may only read on {address.url}, so no experiment can be recorded.",
            "Use a token that may write.",
        )
    if token.get("client") is None:
        raise ServerError(
            f"The API token belongs to no client (team) of {address.url}.",
            "Use the API token of a client, not that of a user.",
        )
    # An experiment that is there already has its project.
    if writes and settings.sigopt_experiment_id is None:
        project_id = settings.sigopt_project_id
        project = ensure_project(connection, project_id, token["client"])
        if project.created:
            logger.info("Project %r was not on %s and has been created.", project_id, address.url)
        if project.document.to_json().get("deleted"):
            raise ServerError(
                f"The project {project_id!r} on {address.url} has been deleted.",
                "Set sigopt_project_id to another one.",
            )
    return bool(token.get("engine") == OUR_ENGINE)
