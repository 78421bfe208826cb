"""Addresses to listen on."""

from __future__ import annotations

import socket

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.server.listener import Listener


def listening_socket(host: str, port: int) -> Listener:
    """A listening socket; port 0 takes a free one.

    Raises:
        SettingsError: The address is not one of this machine's, or taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = Listener(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"The server cannot listen on {host} port {port}: {reason}.",
            "Give another --host or --port (0 takes a free one).",
        ) from error
    return listener


def url_host(host: str) -> str:
    """An address as it is written in a URL."""
    return f"[{host}]" if ":" in host else host
