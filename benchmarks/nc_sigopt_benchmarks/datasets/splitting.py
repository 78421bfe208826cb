"""Which images calibrate, evaluate and judge: drawn by seed, none of them twice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.errors import DataError

Positions = npt.NDArray[np.int64]


def split_disjoint(
    total: int, calibration: int, evaluation: int, held_out: int, seed: int, what: str
) -> tuple[Positions, Positions, Positions]:
    """Positions of the calibration, evaluation and held-out images: random, without overlap.

    Held-out images come last in the permutation: asking for some changes none of the others.

    Args:
        total: How many images there are.
        calibration: How many calibrate.
        evaluation: How many others evaluate.
        held_out: How many more are kept from the tuning.
        seed: Of the permutation.
        what: Names the images in a message.

    Raises:
        DataError: There are fewer images than asked for.
    """
    if calibration + evaluation + held_out > total:
        kept = f" and {held_out} held-out" if held_out else ""
        raise DataError(
            f"{calibration} calibration{',' if held_out else ' and'} {evaluation} "
            f"evaluation{kept} images are asked for ({calibration + evaluation + held_out} "
            f"altogether), but {what} has {total}.",
            "Lower data.calibration_images, data.evaluation_images or data.held_out_images.",
        )
    order = np.random.default_rng(seed).permutation(total)
    first, second = calibration, calibration + evaluation
    return order[:first], order[first:second], order[second : second + held_out]
