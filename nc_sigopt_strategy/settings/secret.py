"""A value of the settings that nothing prints, copies or pickles."""

from __future__ import annotations

from typing import Any

TOKEN_KEY = "sigopt_api_token"
REDACTED = "***"


class Secret:
    """A string that does not show itself in ``repr``, ``str``, ``format``, copies or pickles."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself; call it only where it is handed to the SigOpt client."""
        return self._value

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __deepcopy__(self, memo: dict[int, Any]) -> str:
        return REDACTED

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return (str, (REDACTED,))
