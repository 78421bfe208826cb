"""The settings of the way to a SigOpt server, checked without going there."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.settings.address import Address, parse_address, parse_host
from nc_sigopt_strategy.settings.quantities import brief
from nc_sigopt_strategy.settings.secret import Secret

ClientCertificate = Path | tuple[Path, Path]


def checked_url(key: str, value: object) -> Address | None:
    """Base URL of a server, taken apart.

    Raises:
        SettingsError: Not a URL of http or https, or one with a user, a password or a query.
    """
    if value is None:
        return None
    text = _text(key, value, "the URL of a server")
    address = parse_address(text)
    # Whatever holds an @ may hold a password, and is not shown.
    if "@" in text:
        raise SettingsError(
            f"{key} holds a user name or password.",
            "Give the URL without it; the token goes into sigopt_api_token.",
        )
    if address is None:
        raise SettingsError(
            f"{key} {brief(text)} is not a URL of a server.",
            "For example: https://sigopt.example.org.",
        )
    return address


def checked_proxy(key: str, value: object) -> Secret | None:
    """URL of a proxy, kept as a secret because it may hold a password.

    Raises:
        SettingsError: Not a URL of http or https.
    """
    if value is None or isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise SettingsError(f"{key} must be the URL of a proxy, but is a {type(value).__name__}.")
    text = value.strip()
    address = parse_address(text)
    if address is None or address.path:
        shown = "***" if "@" in text else brief(text)
        raise SettingsError(
            f"{key} {shown} is not a URL of an http or https proxy.",
            "For example: http://proxy.example.org:3128, or with a user and a password "
            "http://user:password@proxy.example.org:3128, where / is %2F and @ is %40.",
        )
    return Secret(text)


def checked_ca_bundle(key: str, value: object) -> Path | None:
    """A file of certificates in PEM form.

    Raises:
        SettingsError: There is no such file, or no certificate in it.
    """
    if value is None:
        return None
    path = _file(key, value)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:
        raise SettingsError(
            f"{key} {brief(str(path))} holds no certificates that can be read: {error}.",
            "Give the PEM file of the authority that signed the server's certificate.",
        ) from error
    return path


def checked_client_cert(key: str, value: object) -> ClientCertificate | None:
    """A PEM file with certificate and key, or a pair of files.

    Raises:
        SettingsError: A file is not there, they do not belong together, or the key is encrypted.
    """
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise SettingsError(
                f"{key} must be one file or a pair of files, but holds {len(value)} items.",
                "Give (certificate, key).",
            )
        certificate, private = _file(key, value[0]), _file(key, value[1])
        found: ClientCertificate = (certificate, private)
    else:
        found = certificate = private = _file(key, value)
    try:
        # Without a password function OpenSSL would ask for one on the terminal, and wait.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            certificate, private, password=lambda: ""
        )
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{key} cannot be used: {error}.",
            "Give a PEM file that holds certificate and key, or a pair (certificate, key), with "
            "a key that is not encrypted.",
        ) from error
    return found


def checked_hosts(key: str, value: object) -> tuple[str, ...] | None:
    """Names or addresses of hosts in lower case.

    Raises:
        SettingsError: No list, or an item that is not just a host.
    """
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise SettingsError(
            f"{key} must be a list of host names, but is a {type(value).__name__}.",
            'For example: ["sigopt.lan"].',
        )
    hosts = []
    for item in value:
        host = parse_host(item.strip()) if isinstance(item, str) else None
        if host is None:
            shown = "***" if "@" in brief(item) else brief(item)
            raise SettingsError(
                f"{key} holds {shown}, which is not a host name.",
                "Give names or addresses only, without http:// and without a port.",
            )
        hosts.append(host)
    return tuple(hosts)


def at_home(key: str, value: str | os.PathLike[str]) -> Path:
    """A path with ``~`` as the home folder that it stands for.

    Raises:
        SettingsError: There is no such user, or it is no path at all.
    """
    if "\0" in os.fspath(value):
        raise SettingsError(f"{key} {brief(value)} is no path: it has a null character.")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise SettingsError(
            f"{key} {brief(value)} has no home folder here.", "Write the whole path."
        ) from error


def _file(key: str, value: object) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not str(value).strip():
        raise SettingsError(
            f"{key} must be the path of a file, but is {brief(value)} ({type(value).__name__})."
        )
    path = at_home(key, value)
    try:
        is_there = path.is_file()
    except OSError:  # its name is too long
        is_there = False
    if not is_there:
        raise SettingsError(f"{key} {brief(str(path))} is not a file.", "Check the path.")
    return path


def _text(key: str, value: Any, wanted: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(
            f"{key} must be {wanted}, but is {brief(value)} ({type(value).__name__}).",
        )
    return value.strip()
