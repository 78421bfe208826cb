"""A shorter way to write INC's configuration with the sigopt strategy in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neural_compressor import config

from nc_sigopt_strategy.hosts.inc.registration import STRATEGY_NAME


def PostTrainingQuantConfig(
    *,
    strategy: str = STRATEGY_NAME,
    strategy_kwargs: Mapping[str, Any] | None = None,
    timeout: float = 0,
    max_trials: int = 100,
    **kwargs: Any,
) -> Any:
    """Build INC's ``PostTrainingQuantConfig`` with a ``TuningCriterion`` from flat arguments.

    Args:
        strategy: INC strategy name.
        strategy_kwargs: Its settings; for "sigopt" see ``Settings``.
        timeout: Tuning time in seconds; 0 for no limit.
        max_trials: Observation budget.
        **kwargs: Everything else goes to INC's class as it is.
    """
    criterion = config.TuningCriterion(
        strategy=strategy,
        strategy_kwargs=None if strategy_kwargs is None else dict(strategy_kwargs),
        timeout=timeout,
        max_trials=max_trials,
    )
    return config.PostTrainingQuantConfig(tuning_criterion=criterion, **kwargs)
