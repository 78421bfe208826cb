"""The user's function that has the last word on a finalist's accuracy, on data of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.errors import SettingsError, TrialError, named
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.per_input import heard

logger = logging.getLogger("nc_sigopt_strategy")

KEY = "confirm_func"
ConfirmFunc = Callable[[Any], Any]


@dataclass(frozen=True)
class Confirmed:
    """What the function said of a finalist.

    Attributes:
        accuracy: In one number, as the evaluation's is; ``None`` if it could not be asked.
        objection: Why the finalist is passed over; empty if it is not.
    """

    accuracy: float | None
    objection: str = ""


class Confirmation:
    """Asks the user's function for FP32 at once, and for a finalist when it is about to win.

    Args:
        function: ``confirm_func(model) -> accuracy``; gets what an ``eval_func`` gets and returns
            as many numbers.
        bound: The criterion of the run; here it is counted from what FP32 reaches on this data.
        users_model: What the function gets for a model.
        fp32: The FP32 model.
        clock: Times the function, in seconds.

    Raises:
        SettingsError: The function raised for FP32, or returned no finite numbers or not as many
            as the evaluation.
    """

    def __init__(
        self,
        function: ConfirmFunc,
        bound: AccuracyBound,
        users_model: Callable[[Any], Any],
        fp32: Any,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._function, self._users_model = heard(function), users_model
        begun = clock()
        try:
            accuracy = self._function(users_model(fp32))
            bound.scalar(accuracy)
            here = AccuracyBound.of(
                accuracy,
                relative=bound.relative,
                tolerable_loss=bound.tolerable_loss,
                higher_is_better=bound.higher_is_better,
                weights=bound.weights,
            )
        except TrialError as error:
            raise SettingsError(
                f"{KEY} cannot be used: {error.fact} That was for the FP32 model.",
                "It must return what the evaluation returns, from other data.",
            ) from error
        except Exception as error:
            raise SettingsError(f"{KEY} failed on the FP32 model: {named(error)}.") from error
        self.seconds = clock() - begun
        self.bound = here
        logger.info(
            "On %s's data FP32 has %.4f, and a model has to have %.4f.",
            KEY,
            here.baseline_scalar,
            here.target,
        )

    def of(self, model: Any) -> Confirmed:
        """What the function says of a finalist; what it raises is an objection.

        Ctrl-C ends the function and not the run: whoever presses it gets the model unconfirmed.
        """
        try:
            accuracy = self.bound.scalar(self._function(self._users_model(model)))
        except KeyboardInterrupt:
            logger.warning("%s was interrupted: the model is not confirmed.", KEY)
            return Confirmed(None)
        except Exception as error:
            return Confirmed(None, f"{KEY} failed: {named(error)}")
        if self.bound.met(accuracy):
            return Confirmed(accuracy)
        return Confirmed(
            accuracy, f"{KEY} found {accuracy:.4f}, where {self.bound.target:.4f} is asked for"
        )
