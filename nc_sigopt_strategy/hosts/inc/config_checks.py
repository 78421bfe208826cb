"""Checks of what INC's configuration says, beyond ``strategy_kwargs``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.settings.settings import Settings

logger = logging.getLogger("nc_sigopt_strategy")


def check_criterion(criterion: Any) -> None:
    """Check ``max_trials`` and ``timeout``, which INC lets through as they are.

    Raises:
        SettingsError: One is out of range.
    """
    if criterion.max_trials < 1:
        raise SettingsError(
            f"max_trials must be at least 1, but is {criterion.max_trials}.",
            "It is the observation budget of the experiment.",
        )
    if criterion.timeout < 0:
        raise SettingsError(
            f"timeout must be at least 0 seconds, but is {criterion.timeout}.", "0 means no limit."
        )


def check_objective(criterion: Any) -> None:
    """Say that an objective other than performance has no effect."""
    if criterion.objective != ["performance"]:
        logger.warning(
            "The objective %r is not used: the sigopt strategy minimizes latency under the "
            "accuracy bound.",
            criterion.objective,
        )


def check_recipes(recipes: Mapping[str, Any] | None) -> None:
    """Say that a list of smooth-quant alphas is not searched."""
    alpha = ((recipes or {}).get("smooth_quant_args") or {}).get("alpha")
    if isinstance(alpha, list) and len(alpha) > 1:
        logger.warning(
            "Smooth quant alphas %s: the sigopt strategy uses the first, it does not search them.",
            alpha,
        )


def check_measurable(settings: Settings, calibration: Any, evaluation: Any) -> None:
    """Check that there is something to time a model on.

    Raises:
        SettingsError: There is neither a dataloader nor a ``latency_func``.
    """
    if calibration is None and evaluation is None and settings.latency_func is None:
        raise SettingsError(
            "There is no data to time a model on: neither calib_dataloader nor eval_dataloader.",
            "Give one of them to fit, or latency_func in strategy_kwargs.",
        )
