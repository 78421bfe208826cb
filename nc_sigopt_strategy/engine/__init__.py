"""A ``sigopt.Connection`` driver that answers SigOpt's REST routes over Optuna storage."""

from __future__ import annotations

from nc_sigopt_strategy.engine.driver import EmbeddedDriver

__all__ = ["EmbeddedDriver"]
