"""A shorter way to write INC's configuration with the sigopt strategy in it."""

from __future__ import annotations

from typing import Any

from neural_compressor import config

from nc_sigopt_strategy.hosts.inc.registration import STRATEGY_NAME


def PostTrainingQuantConfig(*, strategy: str = STRATEGY_NAME, **kwargs: Any) -> Any:
    """Build INC's ``PostTrainingQuantConfig``; without another name for the sigopt strategy.

    Args:
        strategy: INC strategy name.
        **kwargs: Those of INC's class, and ``strategy_kwargs``, ``timeout`` and ``max_trials``,
            which it takes once this package is imported.

    Raises:
        SettingsError: There is a ``tuning_criterion`` as well.
    """
    return config.PostTrainingQuantConfig(strategy=strategy, **kwargs)
