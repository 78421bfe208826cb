"""Keep the API token, and callables, out of everything INC prints, pickles or copies.

INC dumps the whole configuration at INFO, pickles it into ``history.snapshot`` after every trial
and copies it freely. ``SealedKwargs`` stands in the configuration where the user's
``strategy_kwargs`` dict was: it hands the settings to our strategy and nothing to anybody else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TOKEN_KEY = "sigopt_api_token"
PROXY_KEY = "sigopt_proxy"
URL_KEYS = ("storage", "sigopt_api_url", PROXY_KEY)
REDACTED = "***"
# A user with a password before the host, or a query such as ?password=...
_CREDENTIALS = re.compile(
    r"//[^/\s]*:[^/\s]*@|(password|passwd|pwd|token|secret)\w*=", re.IGNORECASE
)


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


class SealedKwargs:
    """The user's ``strategy_kwargs``, readable only by our strategy.

    Its ``repr``, pickle and deep copy hold the harmless entries and a note of what was left out;
    a copy that lost something cannot be used to tune, which ``Settings`` reports.
    """

    def __init__(self, kwargs: Mapping[str, Any]) -> None:
        self._kwargs = dict(kwargs)
        self.left_out: tuple[str, ...] = ()

    def reveal(self) -> dict[str, Any]:
        """A copy of the original dict, token included."""
        return dict(self._kwargs)

    def public(self) -> dict[str, Any]:
        """The entries that may be shown and stored."""
        return {k: v for k, v in self._kwargs.items() if not self._is_private(k, v)}

    def _private_keys(self) -> tuple[str, ...]:
        hidden = (k for k, v in self._kwargs.items() if self._is_private(k, v))
        return tuple(sorted((*hidden, *self.left_out)))

    @staticmethod
    def _is_private(key: str, value: object) -> bool:
        if key == TOKEN_KEY:
            return value is not None
        if isinstance(value, Secret) or (key == PROXY_KEY and "@" in str(value)):
            return True
        return callable(value) or (key in URL_KEYS and bool(_CREDENTIALS.search(str(value))))

    def __repr__(self) -> str:
        shown = {**self.public(), **dict.fromkeys(self._private_keys(), REDACTED)}
        return repr(shown)

    def __deepcopy__(self, memo: dict[int, Any]) -> SealedKwargs:
        return _unpickle(self.public(), self._private_keys())

    def __reduce__(self) -> tuple[Any, tuple[dict[str, Any], tuple[str, ...]]]:
        return (_unpickle, (self.public(), self._private_keys()))


def seal(criterion: Any) -> None:
    """Put ``SealedKwargs`` in the place of a criterion's ``strategy_kwargs``."""
    kwargs = criterion.strategy_kwargs
    if kwargs is not None and not isinstance(kwargs, SealedKwargs):
        criterion.strategy_kwargs = SealedKwargs(kwargs)


def _unpickle(public: dict[str, Any], left_out: tuple[str, ...]) -> SealedKwargs:
    sealed = SealedKwargs(public)
    sealed.left_out = left_out
    return sealed
