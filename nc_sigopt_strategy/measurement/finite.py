"""A number that a user's function returned, whatever it is wrapped in."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np


def as_finite(value: Any) -> float | None:
    """A finite number as a float; ``None`` for everything else.

    Args:
        value: A number of Python or numpy, or an array or tensor (TensorFlow, torch) without axes.
    """
    if isinstance(value, numbers.Real):
        number: Any = value
    elif isinstance(value, np.generic) or getattr(value, "shape", None) == ():
        number = _item(value)
    else:
        return None
    if not isinstance(number, numbers.Real):
        return None
    try:
        found = float(number)
    except (OverflowError, TypeError, ValueError):  # an integer of 400 digits; a class's own way
        return None
    return found if math.isfinite(found) else None


def _item(value: Any) -> Any:
    """The one element; each framework has its own way to say no."""
    if isinstance(value, np.ma.MaskedArray) and np.any(value.mask):
        return None
    try:
        if callable(getattr(value, "detach", None)):
            value = value.detach().cpu()
        return np.asarray(value).item()
    except Exception:
        return None
