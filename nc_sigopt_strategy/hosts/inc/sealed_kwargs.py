"""Keep the API token, and callables, out of everything INC prints, pickles or copies.

INC dumps the whole configuration at INFO, pickles it into ``history.snapshot`` after every trial
and copies it freely. ``SealedKwargs`` stands in the configuration where the user's
``strategy_kwargs`` dict was: it hands the settings to our strategy and nothing to anybody else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.settings.secret import REDACTED, TOKEN_KEY, Secret

_PROXY_KEY = "sigopt_proxy"
_URL_KEYS = ("storage", "sigopt_api_url", _PROXY_KEY)
# A user with a password before the host, or a query such as ?password=...
_CREDENTIALS = re.compile(
    r"//[^/\s]*:[^/\s]*@|(password|passwd|pwd|token|secret)\w*=", re.IGNORECASE
)


class SealedKwargs:
    """The user's ``strategy_kwargs``, readable only by our strategy.

    Its ``repr``, pickle and deep copy hold the harmless entries and a note of what was left out;
    a copy that lost something cannot be used to tune, which ``revealed`` reports.
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
        if isinstance(value, Secret) or (key == _PROXY_KEY and "@" in str(value)):
            return True
        return callable(value) or (key in _URL_KEYS and bool(_CREDENTIALS.search(str(value))))

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


def revealed(kwargs: Any) -> Any:
    """``strategy_kwargs`` as the user gave them, whether they have been sealed or not.

    Raises:
        SettingsError: They are a copy, which lost what it must not hold.
    """
    if not isinstance(kwargs, SealedKwargs):
        return kwargs
    if kwargs.left_out:
        raise SettingsError(
            "These strategy_kwargs are a copy, and a copy never holds "
            f"{', '.join(kwargs.left_out)}.",
            "Set tuning_criterion.strategy_kwargs again before fitting with this configuration.",
        )
    return kwargs.reveal()


def _unpickle(public: dict[str, Any], left_out: tuple[str, ...]) -> SealedKwargs:
    sealed = SealedKwargs(public)
    sealed.left_out = left_out
    return sealed
