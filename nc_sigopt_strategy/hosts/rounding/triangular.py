"""Triangular factors of symmetric matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Up to so many rows a general inverse is as fast as one by halves.
_SMALL = 64


def upper_factor_of_inverse(matrices: Floats) -> Floats:
    """Upper triangular U with U^T U the inverse.

    Factored from the last row on, H is R R^T with R upper triangular, and U is the inverse of R:
    a third of the work of inverting H and factoring that, and no less exact.

    Args:
        matrices: Symmetric and positive definite, (any number, n, n).

    Raises:
        numpy.linalg.LinAlgError: One of them is not positive definite.
    """
    turned = np.linalg.cholesky(matrices[:, ::-1, ::-1])
    return _upper_inverse(np.ascontiguousarray(turned[:, ::-1, ::-1]))


def _upper_inverse(matrices: Floats) -> Floats:
    """The inverse of upper triangular matrices, by halves."""
    count = matrices.shape[1]
    if count <= _SMALL:
        return np.linalg.inv(matrices)
    half = count // 2
    found = np.zeros_like(matrices)
    first = _upper_inverse(matrices[:, :half, :half])
    last = _upper_inverse(matrices[:, half:, half:])
    found[:, :half, :half] = first
    found[:, half:, half:] = last
    found[:, :half, half:] = -(first @ matrices[:, :half, half:] @ last)
    return found
