"""How much output noise a classifier stands, as the margins of FP32's own outputs tell.

Noise turns an answer where it exceeds the margin between the first class and another one. What a
turned answer costs is the probability of the first class less that of the other, by the model's
own word. Nobody needs to know the labels. Models are mostly surer than they are right, so the
probabilities are first made to agree with the accuracy that was measured, by temperature scaling
(Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2).

The noise is taken for normal, alike in all logits and independent, which quantization's is not
quite. So the result is where to begin, and not what a bound is decided on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nc_sigopt_strategy.backends.backend import Array

# With fewer inputs or classes margins say too little.
LEAST_INPUTS, LEAST_CLASSES = 16, 2
# More inputs would take longer and hardly say more.
_MOST_INPUTS = 256
# Others than the first so many classes are hardly ever chosen.
_CLASSES = 32
_DRAWS, _STEPS = 16, 41
# Noise in units of the standard deviation of the logits.
_LEAST, _MOST = 1e-3, 3.0
_LEAST_PROBABILITY = 1e-12
_COLDEST, _HOTTEST = -4.0, 4.0
_HALVINGS = 40


def noise_for_loss(
    outputs: Sequence[Sequence[Array]], accuracy: float, loss: float
) -> float | None:
    """The output noise at which so much accuracy is expected to be lost.

    Args:
        outputs: Of FP32, for each batch of inputs its outputs.
        accuracy: FP32's share of right answers, 0 to 1.
        loss: Above 0, in the unit of ``accuracy``.

    Returns:
        As ``output_noise`` measures it, above 0; ``None`` where the model is no classifier by the
        shape of its outputs, where they are too few, or where no noise would cost that much.
    """
    found = _one_row_per_input(outputs)
    if found is None or not 0 < loss < accuracy <= 1:
        return None
    probable = _are_probabilities(found)
    logits = np.log(np.maximum(found, _LEAST_PROBABILITY)) if probable else found
    spread = float(np.std(logits))
    if spread <= 0 or accuracy <= 1.0 / found.shape[1]:
        return None
    logits = np.sort(logits - logits.max(axis=1, keepdims=True), axis=1)[:, ::-1]
    certain = _softmax(logits * _warmth(logits, accuracy))[:, :_CLASSES]
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((_DRAWS, *certain.shape))
    levels = np.geomspace(_LEAST, _MOST, _STEPS)
    lost, noise = np.empty(_STEPS), np.empty(_STEPS)
    for n, level in enumerate(levels * spread):
        noisy = logits[:, :_CLASSES] + level * normal
        chosen = noisy.argmax(axis=2)
        kept = np.take_along_axis(certain[None], chosen[..., None], axis=2)
        lost[n] = float(np.mean(certain[:, 0] - kept[..., 0]))
        noise[n] = _noise_of_probabilities(logits, noisy) if probable else (level / spread) ** 2
    if probable:
        noise /= float(np.var(found))
    lost = np.maximum.accumulate(lost)
    if not lost[0] < loss <= lost[-1]:
        return None
    known = lost > 0
    result = np.exp(np.interp(np.log(loss), np.log(lost[known]), np.log(noise[known])))
    return float(result)


def _one_row_per_input(outputs: Sequence[Sequence[Array]]) -> Array | None:
    """The only output as an array of shape (inputs, classes); ``None`` where it is none."""
    if not outputs or any(len(batch) != 1 for batch in outputs):
        return None
    rows = []
    for (array,) in outputs:
        shape = [size for size in array.shape[1:] if size != 1]
        if array.ndim < 2 or len(shape) != 1 or not np.issubdtype(array.dtype, np.floating):
            return None
        rows.append(array.reshape(len(array), shape[0]))
    if len({row.shape[1] for row in rows}) != 1 or rows[0].shape[1] < LEAST_CLASSES:
        return None
    found = np.concatenate(rows)[:_MOST_INPUTS].astype(np.float64)
    return found if len(found) >= LEAST_INPUTS and np.isfinite(found).all() else None


def _are_probabilities(rows: Array) -> bool:
    return bool(rows.min() >= 0 and np.abs(rows.sum(axis=1) - 1).max() < 0.01)


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Array = powers / powers.sum(axis=-1, keepdims=True)
    return result


def _warmth(logits: Array, accuracy: float) -> float:
    """The factor with which the probabilities of first classes are right as often as measured."""
    low, high = _COLDEST, _HOTTEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if float(_softmax(logits * np.exp(middle))[:, 0].mean()) < accuracy:
            low = middle
        else:
            high = middle
    return float(np.exp(low))


def _noise_of_probabilities(logits: Array, noisy: Array) -> float:
    """Mean square of what noise in the first classes' logits does to all probabilities.

    Args:
        logits: Shape (inputs, classes), the largest first and 0.
        noisy: Of the first classes with noise, shape (draws, inputs, first classes).
    """
    first = noisy.shape[2]
    powers = np.exp(logits)
    before = powers / powers.sum(axis=1, keepdims=True)
    rest = powers[:, first:].sum(axis=1)
    raised = np.exp(noisy)
    total = raised.sum(axis=2, keepdims=True) + rest[:, None]
    squares = (raised / total - before[:, :first]) ** 2
    return float(squares.sum(axis=2).mean() / logits.shape[1])
