"""What can go wrong beside the tuning itself."""

from __future__ import annotations

from nc_sigopt_strategy.errors import SigOptStrategyError


class RayError(SigOptStrategyError):
    """The Ray cluster cannot be used, or no worker on it is left."""


class WorkerError(SigOptStrategyError):
    """A worker ended early, or cannot work in its folder; it may work when started again."""
