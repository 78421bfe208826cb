"""What the server adds to the engine's answers: tokens, and the addresses of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.engine import documents
from nc_sigopt_strategy.engine.routes.fields import select_fields
from nc_sigopt_strategy.server.access import TokenBook
from nc_sigopt_strategy.server.sharing import Share
from nc_sigopt_strategy.server.shelf import Shelf
from nc_sigopt_strategy.server.tokens import Token

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Completing:
    """Completes the answer to one request.

    Attributes:
        tokens: Where new tokens are kept.
        shelf: Keeps the files of runs; ``None`` where none are kept.
        token: What the caller sent. It is kept out of representations.
        caller: What is known about that.
        base: The server's address as the client knows it.
    """

    tokens: TokenBook
    shelf: Shelf | None
    token: str
    caller: Token
    base: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}(caller={self.caller.name!r})"

    def check(self, method: str, path: Sequence[str], data: JsonObject) -> None:
        """Refuse what the engine would take and the server cannot keep.

        Raises:
            Refusal: 413, a file that is too large.
        """
        if self.shelf is not None and method == "POST" and path[2:] == ["files"]:
            self.shelf.check_size(data.get("content_length"))

    def completed(self, document: JsonObject, method: str, fields: set[str] | None) -> JsonObject:
        """The answer with what is added, and of that what is asked for.

        Args:
            document: The engine's whole answer.
            method: HTTP verb.
            fields: See ``engine.routes.fields``. A new token is always handed over: it would be
                one that is let in and that nobody holds.

        Raises:
            ApiError: 400, there is no such field.
        """
        kind = document.get("object")
        if kind == "token":
            document = self._with_token(document, is_new=method == "POST")
        elif kind == "file" and self.shelf is not None:
            document = self.shelf.with_address(document, method, self.base)
        if fields is not None and is_new_token(method, document):
            fields = fields | {"token"}
        return select_fields(document, fields)

    def _with_token(self, document: JsonObject, *, is_new: bool) -> JsonObject:
        if is_new:
            share = Share(_number(document["experiment"]), _number(document["training_run"]))
            made = self.tokens.share(share, self.caller, document["expires"])
            return {**document, "token": made}
        of = self.caller.share
        if of is None:
            return {**document, "token": self.token, "permissions": self.caller.scope}
        own = documents.guest_token(
            None if of.experiment is None else str(of.experiment),
            None if of.training_run is None else str(of.training_run),
            self.caller.expires or 0,
        )
        return {**own, "token": self.token}


def is_new_token(method: str, document: JsonObject) -> bool:
    """Whether an answer hands over a token that was made for it."""
    return method == "POST" and document.get("object") == "token"


def _number(identifier: str | None) -> int | None:
    return None if identifier is None else int(identifier)
