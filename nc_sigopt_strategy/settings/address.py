"""Where a SigOpt server or a proxy is, and whether a token may go there without TLS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass

HTTP, HTTPS = "http", "https"
# Stricter than urllib: what different libraries would read differently (a backslash, a second @,
# white space) is no address at all.
_HOST = r"\[[0-9a-f:.]+\]|[\w\-]+(?:\.[\w\-]+)*"
_HOST_PATTERN = re.compile(_HOST, re.IGNORECASE)
_URL_PATTERN = re.compile(
    rf"(https?)://(?:[^/\s@\\]+@)?({_HOST})(?::(\d{{1,5}}))?((?:/[^\s?#@\\]*)?)", re.IGNORECASE
)
_MAX_PORT = 65535


@dataclass(frozen=True)
class Address:
    """A URL of a server in its parts, without user and password.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Name or address in lower case, IPv6 without brackets.
        port: If the URL names one.
        path: Empty, or with a slash in front and none at the end.
    """

    scheme: str
    host: str
    port: int | None
    path: str

    @property
    def url(self) -> str:
        """The URL without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"Address({self.url!r})"

    def may_see_token(self, plain_http_hosts: Collection[str]) -> bool:
        """Whether a token may go there: with TLS, on this machine, or because it is named."""
        return self.scheme == HTTPS or is_loopback(self.host) or self.host in plain_http_hosts


def parse_address(url: str) -> Address | None:
    """The parts of a URL; ``None`` if it is none of http or https, or holds a query."""
    found = _URL_PATTERN.fullmatch(url)
    if found is None:
        return None
    scheme, host, port, path = found.groups()
    if port is not None and not 0 < int(port) <= _MAX_PORT:
        return None
    return Address(
        scheme.lower(),
        host.strip("[]").lower(),
        None if port is None else int(port),
        path.rstrip("/"),
    )


def parse_host(text: str) -> str | None:
    """A host's name or address in lower case; ``None`` if it is more than that."""
    bare = text if ":" not in text or text.startswith("[") else f"[{text}]"
    return bare.strip("[]").lower() if _HOST_PATTERN.fullmatch(bare) else None


def is_loopback(host: str) -> bool:
    """Whether a host is reached from this machine only: ``localhost``, 127.0.0.0/8 or ``::1``.

    Short and octal spellings of an address are not taken for one, for not every library reads
    them alike.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
