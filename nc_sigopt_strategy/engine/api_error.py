"""How a request is refused inside the engine."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A request that is answered with an error status.

    The driver turns it into ``sigopt.exception.ApiException``, an HTTP face into a response; it
    never reaches a user as it is.

    Args:
        status: HTTP status code.
        message: What is wrong, as a sentence.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def body(self) -> dict[str, Any]:
        """The JSON that a SigOpt server sends with an error."""
        return {"message": self.message, "status": self.status}


class MovedError(ApiError):
    """What is asked for stands elsewhere.

    Args:
        location: Its path.
    """

    def __init__(self, location: str) -> None:
        super().__init__(301, f"Moved permanently to {location}")
        self.location = location

    def body(self) -> dict[str, Any]:
        """The JSON, with where it stands."""
        return {**super().body(), "location": self.location}


def bad_request(message: str) -> ApiError:
    """An error of the caller's: 400."""
    return ApiError(400, message)


def not_found(message: str) -> ApiError:
    """An object that is not there: 404."""
    return ApiError(404, message)
