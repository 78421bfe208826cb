"""How far a quantized model's outputs are from the FP32 model's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nc_sigopt_strategy.backends.backend import Array


def output_noise(quantized: Sequence[Array], fp32: Sequence[Array]) -> float | None:
    """Power of the difference over the variance of the FP32 outputs.

    Smooth where accuracy is a step, and close to additive over ops, because independent noise
    powers add (signal to quantization noise ratio, inverted).

    Args:
        quantized: Outputs of the quantized model; floating-point arrays are compared.
        fp32: Outputs of the FP32 model on the same inputs, of the same shapes.

    Returns:
        A dimensionless number of at least 0, averaged over outputs; ``None`` when no output is
        floating point or the FP32 outputs do not vary.
    """
    ratios = []
    for actual, expected in zip(quantized, fp32, strict=True):
        if not np.issubdtype(expected.dtype, np.floating) or actual.shape != expected.shape:
            continue
        variance = float(np.var(expected, dtype=np.float64))
        if variance > 0:
            error = actual.astype(np.float64) - expected.astype(np.float64)
            ratios.append(float(np.mean(error**2)) / variance)
    return float(np.mean(ratios)) if ratios else None
