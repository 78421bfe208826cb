"""A random configuration that was not tried."""

from __future__ import annotations

from collections.abc import Set

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.racing.trial import choice_key


def untried_choice(
    landscape: Landscape, tried: Set[bytes], rng: np.random.Generator
) -> Choices | None:
    """Uniformly drawn value positions, shape (parameters,); ``None`` when all were tried.

    Args:
        landscape: Whose search space is drawn from.
        tried: Keys (see ``choice_key``) of what was tried.
        rng: Random numbers.
    """
    sizes = np.array([len(values) for values in landscape.parameters.values()])
    # In floating point: the number of configurations may be far above an integer's range.
    if len(tried) >= float(np.prod(sizes.astype(float))):
        return None
    while True:
        choice = rng.integers(sizes).astype(np.int64)
        if choice_key(choice) not in tried:
            return choice
