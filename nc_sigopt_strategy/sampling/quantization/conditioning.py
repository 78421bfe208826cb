"""A linear model with normal coefficients, given latencies of whole models and prices of ops.

Coefficients are independent beforehand. A whole model's latency is made of many of them, a price
(what one op takes more in one type than in its first) of one that no other price has and of a few
that all share. So the covariance of the prices is a diagonal matrix plus one of low rank, which
the identity of Woodbury inverts ("Inverting Modified Matrices", 1950); the whole models are then
conditioned on the prices by the Schur complement, and what is inverted is as large as there are
trials, however many ops were profiled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers


@dataclass(frozen=True)
class Rows:
    """What was measured of K coefficients.

    Attributes:
        whole: Design of N latencies, shape (N, K).
        own: Positions of the coefficients that one price each has alone, shape (C,).
        shared: Positions of those that prices share, shape (L,).
        prices: What of the shared ones each price has, shape (C, L).
    """

    whole: Floats
    own: Integers
    shared: slice
    prices: Floats

    def expected(self, coefficients: Floats) -> Floats:
        """What rows are for coefficients of shape (..., K), whole models first; (..., N + C)."""
        prices = coefficients[..., self.own] + coefficients[..., self.shared] @ self.prices.T
        return np.concatenate([coefficients @ self.whole.T, prices], axis=-1)


class Conditioned:
    """The coefficients after rows with independent normal errors.

    Args:
        rows: The design.
        prior: Variances of the coefficients, shape (K,), above 0.
        errors: Variances of the rows, shape (N + C,), above 0.

    Attributes:
        spread: Variance left of each coefficient, shape (K,).
        reach: Variance left of what each row is about, shape (N + C,).
    """

    def __init__(self, rows: Rows, prior: Floats, errors: Floats) -> None:
        self._rows, self._prior = rows, prior
        count = len(rows.whole)
        of_whole, of_prices = errors[:count], errors[count:]
        shared = prior[rows.shared]
        weighted = rows.whole * prior
        # The inverse covariance of the prices: 1 / alone, less ``low @ middle @ low.T``.
        self._alone = prior[rows.own] + of_prices
        self._low = rows.prices / self._alone[:, None]
        self._middle = np.linalg.inv(np.diag(1.0 / shared) + rows.prices.T @ self._low)
        covariance = weighted[:, rows.own] + weighted[:, rows.shared] @ rows.prices.T
        self._by_prices = self._solved(covariance.T).T
        whole = weighted @ rows.whole.T + np.diag(of_whole) - self._by_prices @ covariance.T
        self._inverse = np.linalg.inv(whole)
        left = weighted - self._spread_over(self._by_prices)
        told = np.einsum("nk,nk->k", left, self._inverse @ left) + self._told_by_prices()
        self.spread: Floats = np.maximum(prior - told, 1e-12 * prior)
        of_inverse = 1.0 / self._alone - np.einsum("cl,cl->c", self._low @ self._middle, self._low)
        of_inverse = of_inverse + np.einsum(
            "nc,nc->c", self._by_prices, self._inverse @ self._by_prices
        )
        diagonal = np.concatenate([np.diagonal(self._inverse), of_inverse])
        self.reach: Floats = np.maximum(errors - errors**2 * diagonal, 0.0)

    def moved(self, gap: Floats) -> Floats:
        """What gaps between rows and expectation move the coefficients by.

        Args:
            gap: Shape (M, N + C).

        Returns:
            Shape (M, K).
        """
        count = len(self._rows.whole)
        whole, prices = gap[:, :count], gap[:, count:]
        by_whole = (whole - prices @ self._by_prices.T) @ self._inverse
        by_prices = self._solved(prices.T).T - by_whole @ self._by_prices
        result: Floats = by_whole @ (self._rows.whole * self._prior)
        result += self._spread_over(by_prices)
        return result

    def _solved(self, prices: Floats) -> Floats:
        """The inverse covariance of the prices times a matrix of shape (C, M)."""
        result: Floats = prices / self._alone[:, None]
        result -= self._low @ (self._middle @ (self._low.T @ prices))
        return result

    def _spread_over(self, prices: Floats) -> Floats:
        """Weights of prices, shape (M, C), as what they are of coefficients, shape (M, K)."""
        result = np.zeros((len(prices), len(self._prior)))
        result[:, self._rows.own] = prices * self._prior[self._rows.own]
        result[:, self._rows.shared] = prices @ self._rows.prices * self._prior[self._rows.shared]
        return result

    def _told_by_prices(self) -> Floats:
        """Variance that the prices by themselves take from each coefficient, shape (K,)."""
        told = np.zeros(len(self._prior))
        own = self._prior[self._rows.own]
        told[self._rows.own] = own**2 * (
            1.0 / self._alone - np.einsum("cl,cl->c", self._low @ self._middle, self._low)
        )
        solved = self._solved(self._rows.prices)
        shared = self._prior[self._rows.shared]
        told[self._rows.shared] = shared**2 * np.einsum("cl,cl->l", self._rows.prices, solved)
        return told
