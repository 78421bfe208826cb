"""What INC warns of in every trial and nobody can change."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_overflow() -> Iterator[None]:
    """Not say in every trial what INC does to the biases of channels that are all but zero.

    Over the scale of such weights a bias is more than an int32 holds, and INC's cast wraps it
    around. What comes of it is what is evaluated and what the recipe rebuilds. (MobileNet_v1 has
    21 such channels: its int8 accuracy is the same with biases that fit.)
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore",
            "invalid value encountered in cast",
            RuntimeWarning,
            r"neural_compressor\.adaptor\.ox_utils",
        )
        yield
