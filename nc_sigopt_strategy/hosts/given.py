"""What a user hands over to a host that takes it directly: a model, data and an evaluation."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound

DEFAULT_SAMPLING_SIZE = 100
DEFAULT_LOSS = 0.01


@dataclass(frozen=True)
class Criterion:
    """How much accuracy may be lost.

    Attributes:
        tolerable_loss: A share of FP32's accuracy, or in the metric's own units; 0: nothing.
        relative: Whether it is a share.
        higher_is_better: Direction of the metric; one per metric where there are several.

    Raises:
        SettingsError: The loss is no finite number, or a share of 1 or more.
    """

    tolerable_loss: float = DEFAULT_LOSS
    relative: bool = True
    higher_is_better: bool | tuple[bool, ...] = True

    def __post_init__(self) -> None:
        loss: Any = self.tolerable_loss
        is_number = isinstance(loss, numbers.Real) and not isinstance(loss, bool)
        if not is_number or not math.isfinite(loss):
            raise SettingsError(
                f"tolerable_loss must be a number, but is {loss!r} ({type(loss).__name__}).",
                "For example 0.01: one hundredth of FP32's accuracy may be lost.",
            )
        if self.relative and loss >= 1:
            raise SettingsError(
                f"tolerable_loss is {loss!r}, and it is a share of FP32's accuracy: 1 would be "
                "all of it.",
                f"Give a fraction, such as 0.01 for one percent{_meant(loss)}.",
            )

    def words(self) -> str:
        """The criterion as ``Host.criterion`` wants it."""
        kind = "relative" if self.relative else "absolute"
        return f"{kind} {float(self.tolerable_loss)!r}, higher is better: {self.higher_is_better}"

    def bound(self, baseline: Any) -> AccuracyBound:
        """What follows from FP32's accuracy.

        Args:
            baseline: What the evaluation of FP32 returned: a number, or one per metric.

        Raises:
            TrialError: It is no finite number, nor a list of them.
        """
        directions = self.higher_is_better
        return AccuracyBound.of(
            baseline,
            relative=self.relative,
            tolerable_loss=float(self.tolerable_loss),
            higher_is_better=directions if isinstance(directions, bool) else list(directions),
        )


@dataclass(frozen=True)
class Given:
    """What a user hands over.

    Attributes:
        model: Path of a model, or a framework's own model object.
        calib_dataloader: Yields ``(inputs, labels)``, from the start each time it is iterated.
        eval_fn: Gets the runtime's own model object and returns its accuracy: a number, or a list
            of them.
        criterion: How much of that may be lost.
        sampling_sizes: How many inputs may calibrate, the usual number first.
        inputs: Names of the inputs that are fed, where a model does not say.
        outputs: Names of its outputs, where a model does not say.
        fp32_accuracy: What the bound is taken from; ``None``: what the evaluation of the host's
            own FP32 model returns, which differs a little from one runtime to the next.

    Raises:
        SettingsError: The evaluation is no function, or a sampling size no number of inputs.
    """

    model: Any
    calib_dataloader: Any
    eval_fn: Callable[[Any], Any]
    criterion: Criterion = field(default_factory=Criterion)
    sampling_sizes: Sequence[int] = ()
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    fp32_accuracy: Any = None

    def __post_init__(self) -> None:
        if not callable(self.eval_fn):
            raise SettingsError(
                f"eval_fn must be a function, but is {self.eval_fn!r} "
                f"({type(self.eval_fn).__name__}).",
                "It gets a model and returns its accuracy, such as: lambda model: 0.93.",
            )
        sizes = tuple(self.sampling_sizes) or (DEFAULT_SAMPLING_SIZE,)
        for size in sizes:
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise SettingsError(
                    f"A sampling size must be a whole number of inputs, but one is {size!r}."
                )
        object.__setattr__(self, "sampling_sizes", sizes)
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "outputs", tuple(self.outputs))


def _meant(loss: float) -> str:
    return f"; for {loss:g} percent, {loss / 100:g}" if loss < 100 else ""
