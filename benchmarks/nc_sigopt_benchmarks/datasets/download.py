"""A file from the network, kept only when it is whole."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nc_sigopt_strategy.errors import DataError

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Archive:
    """What can be downloaded.

    Attributes:
        name: Of the data set, without version.
        url: Of a ``.tgz``.
        md5: Its MD5, as the publisher states it: tells a damaged file, not a forged one.
        way_out: What to do where it cannot be had.
    """

    name: str
    url: str
    md5: str
    way_out: str


def download(archive: Archive, target: Path, tell: Callable[[str], None]) -> None:
    """Download an archive to ``target``, which is there afterwards only if its checksum is right.

    Args:
        archive: What.
        target: File to write; its folder is made.
        tell: Gets a line before and after.

    Raises:
        DataError: There is no connection, it broke, or the checksum is wrong.
        OSError: The file cannot be written.
    """
    tell(f"Downloading {archive.name} from {archive.url}; it is kept in {target.parent}")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        received, announced, md5 = _fetch(archive, partial)
        if announced is not None and received != announced:
            raise DataError(
                f"The connection broke while {archive.url} was downloaded: {received} of "
                f"{announced} bytes came.",
                f"Try again. {archive.way_out}",
            )
        if md5 != archive.md5:
            raise DataError(
                f"What {archive.url} sent ({received} bytes) has the MD5 {md5}, not "
                f"{archive.md5}.",
                f"It was damaged on its way, or is another file. Try again. {archive.way_out}",
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    tell(f"  {received / 1e6:.0f} MB, checksum right")


def _fetch(archive: Archive, partial: Path) -> tuple[int, int | None, str]:
    """Bytes received, bytes announced, and the MD5 of what came."""
    digest = hashlib.md5(usedforsecurity=False)
    received = 0
    with partial.open("wb") as file:
        try:
            with urllib.request.urlopen(archive.url, timeout=_TIMEOUT_SECONDS) as response:
                length = response.headers.get("Content-Length")
                while chunk := response.read(_CHUNK):
                    digest.update(chunk)
                    received += file.write(chunk)
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            ConnectionError,
            TimeoutError,
        ) as e:
            raise DataError(f"{archive.url} cannot be downloaded: {e}.", archive.way_out) from e
    return received, int(length) if length and length.isdecimal() else None, digest.hexdigest()
