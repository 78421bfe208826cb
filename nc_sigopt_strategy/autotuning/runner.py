"""What tunes with one host, and continues with a further share of the budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from nc_sigopt_strategy.autotuning.host_run import HostRun
from nc_sigopt_strategy.autotuning.request import Place, Share


class Runner(Protocol):
    """Tunes with one host."""

    def check(self) -> None:
        """Load the model and run it on the first batch of the data.

        Raises:
            SigOptStrategyError: Model, data or settings cannot be used.
        """
        ...

    def run(self, share: Share, place: Place) -> HostRun:
        """Tune for a share of the budget. Ctrl-C ends it in order.

        Args:
            share: Trials count from the experiment's first, seconds from now.
            place: Where its files are left, and the experiment that is continued, if one is.

        Raises:
            SigOptStrategyError: Model, data or settings cannot be used.
        """
        ...


class UsersEvaluation:
    """The user's evaluation, which remembers what it returned first: FP32's.

    Args:
        evaluate: Model to accuracy.
    """

    def __init__(self, evaluate: Callable[[Any], Any]) -> None:
        self._evaluate = evaluate
        self._returned: list[Any] = []

    @property
    def fp32_accuracy(self) -> Any:
        """As it was returned; ``None`` before the first call has returned."""
        return self._returned[0] if self._returned else None

    def __call__(self, model: Any) -> Any:
        """The user's answer."""
        accuracy = self._evaluate(model)
        if not self._returned:
            self._returned.append(accuracy)
        return accuracy
