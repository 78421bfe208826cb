"""A pipeline file as a user would write it: random images, a loader and an evaluation."""

from __future__ import annotations

_BEGINNING = """
import numpy as np

images = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
state = {}


class Loader:
    batch_size = BATCH

    def __iter__(self):
        for start in range(0, CALIBRATING, BATCH):
            yield images[start : start + BATCH], np.zeros(BATCH)


calib_dataloader = Loader()

"""
# The share of answers that are FP32's.
AGREEMENT = """
def eval_func(model):
    from nc_sigopt_strategy import predictor

    answers = predictor(model)(images)[0].argmax(axis=1)
    state.setdefault("fp32", answers)  # the first call is the baseline's
    return float((answers == state["fp32"]).mean())
"""


def pipeline(
    *shape: int,
    evaluation: str = AGREEMENT,
    inputs: int = 64,
    calibrating: int = 32,
    batch: int = 8,
) -> str:
    """The text of the file.

    Args:
        shape: Of one random input.
        evaluation: What follows the dataloader; it may use ``images``, ``state`` and ``np``.
        inputs: How many there are.
        calibrating: How many of them the dataloader yields.
        batch: In how large batches.
    """
    words = {"SHAPE": str((inputs, *shape)), "CALIBRATING": str(calibrating), "BATCH": str(batch)}
    beginning = _BEGINNING
    for word, value in words.items():
        beginning = beginning.replace(word, value)
    return beginning + evaluation
