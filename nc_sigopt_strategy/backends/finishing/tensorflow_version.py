"""Which versions of TensorFlow run finished graphs."""

from __future__ import annotations

import re

import tensorflow as tf

from nc_sigopt_strategy.errors import UnsupportedVersionError

# 2.15's oneDNN pass ends the process (SIGABRT) on some of them: it takes a bfloat16 convolution
# for a float32 one. 2.16 and 2.17 were never tried.
OLDEST = (2, 18)


def runs_finished_graphs() -> bool:
    """Whether the installed TensorFlow does; ``True`` where its version cannot be told."""
    found = re.match(r"(\d+)\.(\d+)", str(tf.__version__))
    return found is None or (int(found[1]), int(found[2])) >= OLDEST


def too_old() -> str:
    """That it does not, in a sentence."""
    return (
        f"TensorFlow is {tf.__version__}, and finished graphs need {OLDEST[0]}.{OLDEST[1]} or "
        "newer: earlier ones can end the process on them"
    )


def require_finishing() -> None:
    """Check the installed TensorFlow.

    Raises:
        UnsupportedVersionError: It is too old.
    """
    if not runs_finished_graphs():
        raise UnsupportedVersionError(f"{too_old()}.", "Update it, or leave the graph as it is.")
