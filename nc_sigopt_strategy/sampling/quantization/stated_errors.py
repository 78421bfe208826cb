"""Whether what was measured outside of trials is as exact as it says of itself."""

from __future__ import annotations

import numpy as np

from nc_sigopt_strategy.sampling.quantization.op_space import Floats

# What is said of errors counts as so many of them: trials may show another scale.
_STATED = 8.0
_LEAST_SCALE, _LARGEST_SCALE = 0.5, 20.0


def error_scale(squares: Floats) -> float:
    """What stated errors are to be multiplied by.

    The maximization step of expectation maximization for the variance of normal errors, with the
    stated one as prior (Bishop, "Pattern Recognition and Machine Learning", 2006, section 9.3.4).

    Args:
        squares: Expected squares of the errors in units of the stated ones, shape (K,).
    """
    scale2 = (float(squares.sum()) + _STATED) / (len(squares) + _STATED)
    return float(np.clip(np.sqrt(scale2), _LEAST_SCALE, _LARGEST_SCALE))
