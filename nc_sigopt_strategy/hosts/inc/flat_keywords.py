"""INC's own ``PostTrainingQuantConfig`` takes the arguments of its criterion as its own."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from nc_sigopt_strategy.errors import SettingsError

# Of ``TuningCriterion``, in its order.
FLAT_KEYWORDS = ("strategy", "strategy_kwargs", "timeout", "max_trials")
_CRITERION = "tuning_criterion"
_MARK = "_nc_sigopt_strategy"


def take_flat_keywords(config: Any) -> None:
    """Extend the constructor of ``PostTrainingQuantConfig``; doing it again changes nothing.

    The class stays the same object, so it does not matter who imported it before. Only calls with
    one of ``FLAT_KEYWORDS`` are changed; what is not given keeps ``TuningCriterion``'s default.

    Args:
        config: The module ``neural_compressor.config``.
    """
    stock = config.PostTrainingQuantConfig.__init__
    if hasattr(stock, _MARK):
        return
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        flat = {name: kwargs.pop(name) for name in FLAT_KEYWORDS if name in kwargs}
        if flat:
            if _CRITERION in signature.bind_partial(self, *args, **kwargs).arguments:
                raise SettingsError(
                    f"PostTrainingQuantConfig got both {_CRITERION} and {', '.join(flat)}.",
                    f"Say it once: give {', '.join(flat)} to TuningCriterion, or leave "
                    f"{_CRITERION} out.",
                )
            if flat.get("strategy_kwargs") is not None:
                flat["strategy_kwargs"] = dict(flat["strategy_kwargs"])
            kwargs[_CRITERION] = config.TuningCriterion(**flat)
        stock(self, *args, **kwargs)

    setattr(init, _MARK, True)
    config.PostTrainingQuantConfig.__init__ = init
