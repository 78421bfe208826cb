"""Conditioning on latencies and prices, against the same by one inverse of everything."""

from __future__ import annotations

import numpy as np
import pytest

from nc_sigopt_strategy.sampling.quantization.conditioning import Conditioned, Rows

# Coefficients: 6 of ops, 3 shared ones, 2 more.
COUNT, SHARED = 11, slice(6, 9)


@pytest.mark.parametrize("trials", [1, 4, 30])
@pytest.mark.parametrize("own", [[], [2], [4, 0, 3]])
def test_as_by_one_inverse_of_all_rows(trials: int, own: list[int]) -> None:
    rng = np.random.default_rng(trials)
    shared = rng.standard_normal((len(own), 3))
    rows = Rows(rng.standard_normal((trials, COUNT)), np.array(own, np.int64), SHARED, shared)
    design = np.zeros((len(own), COUNT))
    design[np.arange(len(own)), own] = 1.0
    design[:, SHARED] = shared
    design = np.concatenate([rows.whole, design])
    prior, errors = rng.uniform(0.5, 2.0, COUNT), rng.uniform(0.1, 0.5, len(design))
    inverse = np.linalg.inv(design * prior @ design.T + np.diag(errors))
    gain = (design * prior).T @ inverse
    left = np.diag(prior) - gain @ design * prior
    gap = rng.standard_normal((2, len(design)))

    found = Conditioned(rows, prior, errors)

    np.testing.assert_allclose(rows.expected(gap[:, :1] * prior), gap[:, :1] * (design @ prior))
    np.testing.assert_allclose(found.moved(gap), gap @ gain.T, atol=1e-12)
    np.testing.assert_allclose(found.spread, np.diagonal(left), atol=1e-12)
    np.testing.assert_allclose(
        found.reach, np.einsum("nk,kj,nj->n", design, left, design), atol=1e-12
    )
