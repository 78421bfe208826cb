"""What INC's ``TuningCriterion`` takes: the strategy's name, and settings that are checked there.

INC passes ``strategy_kwargs`` on unread, and by the time that a strategy sees them the model has
been loaded, which takes a minute for a large one.
"""

from __future__ import annotations

from typing import Any

from nc_sigopt_strategy.hosts.inc.sealed_kwargs import SealedKwargs
from nc_sigopt_strategy.settings.settings import Settings

_MARK = "_nc_sigopt_strategy"


def hook_into_criterion(criterion: Any, name: str) -> None:
    """Let a criterion accept our strategy, and refuse settings of it that cannot be used.

    The class stays the same object, so it does not matter who imported it before. Criteria of
    other strategies are left to INC; doing it again changes nothing.

    Args:
        criterion: The class ``neural_compressor.config.TuningCriterion``, whose ``strategy`` and
            ``strategy_kwargs`` are properties (INC 2.6 to 3.7.1). INC 3.7 lists the names that it
            takes in the setter of the first.
        name: Of our strategy.
    """
    stock, stock_kwargs = criterion.strategy, criterion.strategy_kwargs
    if hasattr(stock.fset, _MARK):
        return

    def set_strategy(self: Any, value: Any) -> None:
        if value != name:
            stock.fset(self, value)
            return
        # INC's constructor sets the strategy first; whoever sets it later has settings by then.
        if getattr(self, "_strategy_kwargs", None) is not None:
            _check(self._strategy_kwargs)
        self._strategy = value

    def set_kwargs(self: Any, value: Any) -> None:
        if getattr(self, "_strategy", None) == name:
            _check(value)
        stock_kwargs.fset(self, value)

    setattr(set_strategy, _MARK, True)
    criterion.strategy = property(stock.fget, set_strategy, doc=stock.__doc__)
    criterion.strategy_kwargs = property(stock_kwargs.fget, set_kwargs, doc=stock_kwargs.__doc__)


def _check(kwargs: Any) -> None:
    """Raise what ``Settings`` has against them; sealed ones have been checked already."""
    if not isinstance(kwargs, SealedKwargs):
        Settings.from_kwargs(kwargs)
