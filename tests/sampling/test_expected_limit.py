"""A noise limit that was expected before the first trial: followed, until trials say otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from nc_sigopt_strategy.sampling.quantization.accuracy_model import AccuracyModel
from nc_sigopt_strategy.sampling.quantization.op_space import Floats

BASELINE, BOUND, LIMIT, POWER = 0.9, 0.891, 1e-2, 0.7


def accuracies(noise: Floats) -> Floats:
    rate = -np.log(BOUND / BASELINE)
    result: Floats = BASELINE * np.exp(-rate * (noise / LIMIT) ** POWER)
    return result


def median_limit(noise: list[float], expected: float | None) -> float:
    found = np.array(noise)
    model = AccuracyModel(found, accuracies(found), BOUND, BASELINE, expected_limit=expected)
    return model.quantile(0.5)


def test_after_one_trial_far_from_the_bound_the_expectation_helps() -> None:
    told, guessed = median_limit([0.5], 1.5 * LIMIT), median_limit([0.5], None)
    assert abs(np.log(told / LIMIT)) < 0.5
    assert abs(np.log(told / LIMIT)) < abs(np.log(guessed / LIMIT))


@pytest.mark.parametrize("factor", [1e-4, 0.03, 30.0, 1e4])
def test_trials_beside_the_bound_win_over_a_wrong_expectation(factor: float) -> None:
    near = [0.5, 0.3 * LIMIT, 0.7 * LIMIT, 1.2 * LIMIT, 2 * LIMIT, 4 * LIMIT]
    misled, guessed = median_limit(near, factor * LIMIT), median_limit(near, None)
    assert misled == pytest.approx(guessed, rel=0.3)
