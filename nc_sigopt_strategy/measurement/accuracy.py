"""The accuracy criterion as one number and one bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nc_sigopt_strategy.errors import TrialError, shown
from nc_sigopt_strategy.measurement.finite import as_finite


@dataclass(frozen=True)
class AccuracyBound:
    """INC's ``AccuracyCriterion`` against a known baseline.

    Several metrics follow INC: with weights they become one (the mean of value times weight);
    without, each has a target of its own, and the scalar is the smallest margin to its target.

    Attributes:
        baseline: What the evaluation of the FP32 model returned: a number, or one per metric.
        relative: Whether ``tolerable_loss`` is a share of the baseline or in metric units.
        tolerable_loss: INC's ``tolerable_loss``.
        higher_is_better: Direction, one per metric.
        weights: Weight per metric, if they are combined.
    """

    baseline: tuple[float, ...]
    relative: bool
    tolerable_loss: float
    higher_is_better: tuple[bool, ...]
    weights: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls,
        baseline: Any,
        *,
        relative: bool,
        tolerable_loss: float,
        higher_is_better: bool | Sequence[bool],
        weights: Sequence[float] | None = None,
    ) -> AccuracyBound:
        """Build a bound from what INC holds.

        Raises:
            TrialError: The baseline is not a finite number (or list of them).
        """
        values = finite_values(baseline)
        weighted = tuple(weights) if weights is not None and len(values) > 1 else None
        if isinstance(higher_is_better, bool):
            higher_is_better = [higher_is_better] * len(values)
        return cls(values, relative, tolerable_loss, tuple(higher_is_better), weighted)

    @property
    def is_margin(self) -> bool:
        """Whether the scalar is a margin over several targets instead of the metric itself."""
        return len(self.baseline) > 1 and self.weights is None

    @property
    def maximize(self) -> bool:
        """Whether a larger scalar is better."""
        return True if self.is_margin else self.higher_is_better[0]

    @property
    def target(self) -> float:
        """The value of the scalar that has to be met; equality counts as met."""
        return 0.0 if self.is_margin else self._targets()[0]

    @property
    def baseline_scalar(self) -> float:
        """The scalar of the FP32 model."""
        return self.scalar(self.baseline)

    def scalar(self, accuracy: Any) -> float:
        """One number from what an evaluation returned.

        Raises:
            TrialError: It is not a finite number, or not as many as the baseline's.
        """
        values = finite_values(accuracy)
        if len(values) != len(self.baseline):
            raise TrialError(
                f"The evaluation returned {len(values)} metrics, FP32's {len(self.baseline)}."
            )
        if not self.is_margin:
            return self._combined(values)
        return min(
            value - target if higher else target - value
            for value, target, higher in zip(
                values, self._targets(), self.higher_is_better, strict=True
            )
        )

    def judged(self) -> list[tuple[float, float, bool]]:
        """FP32's value, its target and whether higher is better, for each that has a target."""
        values = self.baseline if self.is_margin else (self._combined(self.baseline),)
        directions = self.higher_is_better if self.is_margin else self.higher_is_better[:1]
        return list(zip(values, self._targets(), directions, strict=True))

    def met(self, scalar: float) -> bool:
        """Whether a scalar meets the bound."""
        return scalar >= self.target if self.maximize else scalar <= self.target

    def shortfall(self, scalar: float) -> float:
        """How far a scalar is on the wrong side of the bound; negative when it meets it."""
        return self.target - scalar if self.maximize else scalar - self.target

    def _combined(self, values: Sequence[float]) -> float:
        if self.weights is None:
            return values[0]
        return float(np.mean(np.array(values) * np.array(self.weights)))

    def _targets(self) -> list[float]:
        if self.is_margin:
            pairs = list(zip(self.baseline, self.higher_is_better, strict=True))
        else:
            pairs = [(self._combined(self.baseline), self.higher_is_better[0])]
        return [self._target(value, higher) for value, higher in pairs]

    def _target(self, baseline: float, higher: bool) -> float:
        # The same arithmetic as INC's objective.py, so that equality falls on the same float.
        if self.relative:
            loss = self.tolerable_loss
            return baseline * (1 - loss) if higher else baseline * (1 + loss)
        return baseline - self.tolerable_loss if higher else baseline + self.tolerable_loss


def finite_values(accuracy: Any) -> tuple[float, ...]:
    """An evaluation's result as floats.

    Raises:
        TrialError: It is not a finite number or a list of them.
    """
    items = list(accuracy) if isinstance(accuracy, (list, tuple)) else [accuracy]
    values = []
    for item in items:
        value = as_finite(item)
        if value is None:
            raise TrialError(
                f"The evaluation returned {shown(accuracy)}, which is not a finite number.",
                _way_out(item),
            )
        values.append(value)
    if not values:
        raise TrialError("The evaluation returned an empty list.")
    return tuple(values)


def _way_out(item: Any) -> str:
    """What an evaluation is to return in place of something that is no finite number."""
    if _has_axes(item):
        return (
            "The evaluation must return one number. Of scores of single inputs return "
            "nc_sigopt_strategy.PerInput(scores), or yield them batch by batch."
        )
    if isinstance(item, Mapping):
        return "Return the one metric that the bound is about, such as metrics['accuracy']."
    if item is None:
        return "The evaluation must return its number: is a return missing?"
    return "The evaluation (eval_func, eval_fn) must return one number, or a list of numbers."


def _has_axes(item: Any) -> bool:
    """Whether it is an array or tensor of any framework, and no scalar; or a list in a list."""
    try:
        return isinstance(item, (list, tuple)) or len(getattr(item, "shape", ())) > 0
    except Exception:  # a class's own attribute
        return False
