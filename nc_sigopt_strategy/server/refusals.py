"""How the server itself refuses a request, besides the engine's refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.engine.api_error import ApiError

REVOKED, EXPIRED, INVALID_PERMISSIONS = "revoked", "expired", "invalid_permissions"


class Refusal(ApiError):
    """A request that does not reach the engine.

    Args:
        status: HTTP status code.
        message: What is wrong, as a sentence.
        headers: Of the response, in addition.
        token_status: SigOpt's word for what is wrong with a token.
        close: Whether the connection is closed, because what comes on it cannot be trusted.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        token_status: str | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(status, message)
        self.headers = dict(headers or {})
        self.token_status = token_status
        self.close = close

    def body(self) -> dict[str, Any]:
        """The JSON that a SigOpt server sends with an error."""
        document = super().body()
        if self.token_status is not None:
            document["token_status"] = self.token_status
        return document


class Disconnected(Exception):
    """The client is gone; there is nobody to answer."""


def too_many(message: str) -> Refusal:
    """429, the one status that SigOpt's client tries again by itself."""
    return Refusal(429, message, headers={"retry-after": "1"})
