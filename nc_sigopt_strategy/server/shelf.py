"""Files of runs on the server's own disk, behind addresses that are signed and expire.

SigOpt's server hands out addresses of S3 in their place; clients send and fetch the bytes there
without their token, so the address itself has to say that they may.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from nc_sigopt_strategy.errors import SigOptStrategyError, StoreError
from nc_sigopt_strategy.server.answers import API_HEADERS, json_response
from nc_sigopt_strategy.server.log_lines import path_for_log
from nc_sigopt_strategy.server.refusals import Disconnected, Refusal
from nc_sigopt_strategy.server.workers import Workers

_LOG = logging.getLogger(__name__)
PREFIX = "/files/"
# How long an address is good for.
_GOOD_SECONDS = 15 * 60
_KEY_FILE = ".key"
_OFFERED = {"PUT": "upload", "GET": "download"}

Described = Callable[[str], Mapping[str, Any] | None]


class Shelf:
    """Keeps the bytes of files, and makes the addresses to put and get them.

    Args:
        folder: Where they are kept; it is made, for its owner alone.
        max_bytes: The largest file.
        described: The document of a file by its id; ``None`` where there is no such file. It is
            called in a thread.
        patience: How many seconds may pass between two parts of a file that is sent.

    Raises:
        StoreError: The folder cannot be used.
    """

    def __init__(
        self, folder: Path, max_bytes: int, described: Described, patience: float = 30.0
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._patience = patience
        self._described = described
        # The store may take its time, and the event loop must not wait for it.
        self._workers = Workers(2, "files")
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._key = _key_in(folder)
        except OSError as error:
            raise StoreError(
                f"The folder for files of runs, {folder}, cannot be used: {error}.",
                "Name another one with --files.",
            ) from error

    def check_size(self, size: Any) -> None:
        """Refuse a file that is too large before it is described.

        Args:
            size: How many bytes it is said to have; what is no number is the engine's to refuse.

        Raises:
            Refusal: 413.
        """
        if isinstance(size, (int, float)) and size > self._max_bytes:
            raise Refusal(413, f"A file has at most {self._max_bytes} bytes here")

    def with_address(self, document: dict[str, Any], verb: str, base: str) -> dict[str, Any]:
        """A file's document with where its bytes are put (verb POST) or fetched (GET).

        Args:
            document: See ``engine.routes.runs.run_files``.
            verb: Of the request that it answers.
            base: The server's address, as the client knows it.

        """
        if verb != "POST":
            address = self._signed(base, "GET", document["id"])
            return {**document, "download": {"object": "s3_download", "url": address}}
        headers = {
            "Content-Type": document["content_type"],
            "Content-MD5": document["content_md5"],
            "Content-Length": str(document["content_length"]),
            "Content-Disposition": _disposition(document),
        }
        upload = {
            "object": "s3_upload",
            "url": self._signed(base, "PUT", document["id"]),
            "method": "PUT",
            "headers": headers,
        }
        return {**document, "upload": upload}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take or give the bytes of a file."""
        try:
            response = await self._respond(scope, receive)
        except Refusal as refusal:
            response = json_response(refusal.body(), refusal.status, refusal.headers, last=True)
        except Disconnected:
            return
        except (SigOptStrategyError, OSError) as error:
            _LOG.error("%s %s: %s", scope["method"], path_for_log(scope), error)
            message = "The file cannot be kept or read now; the server's log tells why"
            response = json_response({"message": message, "status": 503}, 503, last=True)
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        verb = "GET" if scope["method"] == "HEAD" else scope["method"]
        if verb not in _OFFERED:
            raise Refusal(405, f"{verb} is not offered here", headers={"allow": "GET, PUT"})
        file_id = str(scope["path"]).removeprefix(PREFIX)
        self._check(verb, file_id, scope["query_string"])
        document = await self._workers.run(self._described, file_id)
        if document is None:
            raise Refusal(404, "There is no such file")
        place = self._folder / file_id
        if verb == "PUT":
            await self._take(place, document, Headers(scope=scope), receive)
            return Response(status_code=200, headers=API_HEADERS)
        if not place.is_file():
            raise Refusal(404, "The file has not been put here yet")
        # Whatever it says that it is, a browser saves it and runs nothing of it.
        headers = {**API_HEADERS, "content-disposition": _disposition(document)}
        kind = str(document["content_type"])
        # In a header only ASCII means the same to all.
        kind = kind if kind.isascii() else "application/octet-stream"
        return FileResponse(place, headers=headers, media_type=kind)

    def close(self, seconds: float) -> int:
        """Wait for what is being worked on; see ``Workers.close``."""
        return self._workers.close(seconds)

    async def _take(
        self, place: Path, document: Mapping[str, Any], headers: Headers, receive: Receive
    ) -> None:
        wanted = document["content_length"]
        if headers.get("content-length") not in (None, str(wanted)):
            raise Refusal(400, f"The file has {wanted} bytes by its description")
        partial = place.with_name(f"{place.name}.{secrets.token_hex(8)}.partial")
        try:
            digest = await _receive_into(partial, receive, wanted, self._patience)
            if not hmac.compare_digest(digest, document["content_md5"]):
                raise Refusal(400, "The bytes do not have the MD5 digest of the description")
            partial.replace(place)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def _signed(self, base: str, verb: str, file_id: str) -> str:
        expires = str(int(time.time()) + _GOOD_SECONDS)
        query = {"expires": expires, "signature": self._signature(verb, file_id, expires)}
        return f"{base}{PREFIX}{file_id}?{urlencode(query)}"

    def _signature(self, verb: str, file_id: str, expires: str) -> str:
        said = f"{verb}\n{file_id}\n{expires}".encode()
        return hmac.new(self._key, said, hashlib.sha256).hexdigest()

    def _check(self, verb: str, file_id: str, query_string: bytes) -> None:
        try:
            query = parse_qs(query_string.decode("ascii", "replace"), max_num_fields=10)
        except ValueError:
            query = {}
        expires, signature = (query.get(key, [""])[0] for key in ("expires", "signature"))
        right = self._signature(verb, file_id, expires)
        if not hmac.compare_digest(right.encode(), signature.encode()):
            raise Refusal(403, "The address is not signed for this")
        if int(expires) < time.time():
            raise Refusal(403, "The address has expired; ask for the file again")


async def _receive_into(path: Path, receive: Receive, size: int, patience: float) -> str:
    """Write a body to a file of its owner's; its MD5 digest in base64."""
    digest = hashlib.md5(usedforsecurity=False)
    left = size
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as stream:
        while True:
            try:
                message = await asyncio.wait_for(receive(), patience)
            except asyncio.TimeoutError:
                raise Refusal(408, f"Nothing came for {patience:g} seconds") from None
            if message["type"] != "http.request":
                raise Disconnected
            part = message.get("body", b"")
            left -= len(part)
            if left < 0:
                raise Refusal(400, f"The file has {size} bytes by its description")
            digest.update(part)
            stream.write(part)
            if not message.get("more_body", False):
                break
    if left:
        raise Refusal(400, f"The file has {size} bytes by its description, {size - left} came")
    return base64.b64encode(digest.digest()).decode("ascii")


def _key_in(folder: Path) -> bytes:
    """The key by which addresses are signed, the same for all servers that share the folder."""
    path = folder / _KEY_FILE
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(32))
    key = path.read_bytes()
    if len(key) != 32:
        raise OSError(f"{path} holds no key")
    return key


def _disposition(document: Mapping[str, Any]) -> str:
    name = document["filename"] or document["name"]
    return f"attachment; filename*=UTF-8''{quote(str(name), safe='')}"
