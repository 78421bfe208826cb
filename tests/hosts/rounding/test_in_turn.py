"""Rounding one weight after the other: the factor it rests on, and weights that stay."""

from __future__ import annotations

import numpy as np
import pytest

from nc_sigopt_strategy.hosts.rounding.in_turn import RoundingInTurn
from nc_sigopt_strategy.hosts.rounding.triangular import upper_factor_of_inverse


@pytest.mark.parametrize("count", [1, 7, 64, 65, 200])
def test_the_factor_is_that_of_the_inverse(count: int) -> None:
    rng = np.random.default_rng(count)
    mixing = rng.normal(size=(2, count, count + 3))
    matrices = mixing @ mixing.transpose(0, 2, 1) + np.eye(count)
    factor = upper_factor_of_inverse(matrices)
    assert (factor == np.triu(factor)).all()
    np.testing.assert_allclose(
        factor.transpose(0, 2, 1) @ factor, np.linalg.inv(matrices), rtol=1e-7, atol=1e-12
    )


def test_one_factor_serves_several_steps_and_fixed_weights_stay() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1, 5, 12))
    inputs = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 12)) + 1
    moments = (inputs.T @ inputs / 200)[None]
    rounding = RoundingInTurn(moments, 200)
    fixed = rng.random(rows.shape) < 0.3
    for step in (0.02, 0.1):
        moved = rounding.fitted(rows, np.array(step), fixed)
        assert not moved[fixed].any()
        assert moved[~fixed].any()
        numbers = np.round(rows / step) + rounding.fitted(rows, np.array(step))
        nearest = np.round(rows / step)
        errors = [
            ((n[0] * step - rows[0]) @ moments[0] @ (n[0] * step - rows[0]).T).trace()
            for n in (numbers, nearest)
        ]
        assert errors[0] < 0.5 * errors[1]
