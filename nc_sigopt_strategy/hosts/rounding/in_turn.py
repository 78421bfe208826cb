"""Weights rounded to int8 so that what comes out changes least, not each weight.

Rounding each weight to the nearest step leaves errors that add up over a sum of products whose
inputs go together, as neighbouring pixels do. Rounding one after the other, each with the errors
so far spread over those still to come, keeps the sum (Frantar et al., "GPTQ", ICLR 2023, after the
Optimal Brain Surgeon of Hassibi and Stork, 1992). It needs the second moments of the inputs, and
costs a model nothing: the same kernels run on other numbers.

Measured on MobileNet_v1, all int8 per channel, 400 images: top-1 0.8975 with the nearest steps,
0.9275 with these, 0.9300 in float. Of the output noise, 95 % came from weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_sigopt_strategy.hosts.rounding.triangular import upper_factor_of_inverse

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Symmetric int8, as weights are quantized.
LARGEST = 127
# Added to the second moments, as a share of their mean: a little against inputs that hardly ever
# occur, more where fewer inputs were seen than there are weights in a sum.
_DAMPING, _DAMPING_FEW = 0.01, 0.1
_BLOCK = 128


class RoundingInTurn:
    """What the inputs of a layer say about the rounding of its weights, for any steps.

    Args:
        moments: Second moments of the inputs, (groups, weights of a sum, the same), not centred.
        seen: How many inputs they come from, at least 1.

    Raises:
        numpy.linalg.LinAlgError: They are no second moments.
    """

    def __init__(self, moments: Floats, seen: int) -> None:
        count = moments.shape[1]
        scale = np.trace(moments, axis1=1, axis2=2) / count
        damping = _DAMPING + _DAMPING_FEW * count / seen
        self._alive = scale > 0
        damped = moments + (np.where(self._alive, scale * damping, 1.0))[:, None, None] * np.eye(
            count
        )
        # What occurs most goes first, while there is most left to make up for it.
        self._order = np.argsort(-np.einsum("gkk->gk", damped), axis=1, kind="stable")
        damped = np.take_along_axis(
            np.take_along_axis(damped, self._order[:, :, None], 1), self._order[:, None], 2
        )
        self._spread = upper_factor_of_inverse(damped)

    def fitted(self, rows: Floats, steps: Floats, fixed: Array | None = None) -> Array:
        """How many steps beside the nearest one each weight goes.

        Args:
            rows: Weights as (groups, sums, weights of a sum).
            steps: Width of a step, of a shape that broadcasts to that.
            fixed: Which weights stay at their nearest step; none where left out.

        Returns:
            int8, of the shape of ``rows``.
        """
        nearest = np.clip(np.round(rows / steps), -LARGEST, LARGEST)
        held = np.full(rows.shape, np.nan) if fixed is None else np.where(fixed, nearest, np.nan)
        order = self._order[:, None]
        numbers = _rounded_in_turn(
            np.take_along_axis(rows, order, 2),
            np.take_along_axis(np.broadcast_to(steps, rows.shape), order, 2),
            np.take_along_axis(held, order, 2),
            self._spread,
        )
        back = np.argsort(self._order, axis=1)
        numbers = np.take_along_axis(numbers, back[:, None], 2)
        moved = np.where(self._alive[:, None, None], numbers - nearest, 0.0)
        return np.asarray(moved, np.int8)


def _rounded_in_turn(rows: Floats, steps: Floats, fixed: Floats, spread: Floats) -> Floats:
    """Numbers of steps; ``fixed`` holds them where they are given and NaN elsewhere."""
    left = np.array(rows)
    numbers = np.empty_like(left)
    count = rows.shape[2]
    for begin in range(0, count, _BLOCK):
        end = min(begin + _BLOCK, count)
        errors = np.empty((*left.shape[:2], end - begin))
        for i in range(begin, end):
            free = np.clip(np.round(left[:, :, i] / steps[:, :, i]), -LARGEST, LARGEST)
            chosen = np.where(np.isnan(fixed[:, :, i]), free, fixed[:, :, i])
            error = (left[:, :, i] - chosen * steps[:, :, i]) / spread[:, None, i, i]
            left[:, :, i:end] -= error[:, :, None] * spread[:, None, i, i:end]
            numbers[:, :, i] = chosen
            errors[:, :, i - begin] = error
        left[:, :, end:] -= errors @ spread[:, begin:end, end:]
    return numbers
