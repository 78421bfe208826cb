"""A latency surrogate: linear in the types of ops, plus what a change of type costs on an edge.

Ridge regression. Ops of a kind share a cost per type in proportion to their sizes, edges share a
cost per pair of types in proportion to their elements, and every op and edge may deviate; the
deviations are shrunk, by how much is chosen by cross-validation. Rows are weighted so that
relative errors count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import RidgeCV

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Values
from nc_sigopt_benchmarks.research.landscapes.optimum import PairTerm

# Of the deviations of edges against those of ops; 0 leaves edges without.
_EDGE_SCALES = (0.0, 0.3, 1.0, 3.0)
_STRENGTHS = tuple(float(strength) for strength in np.geomspace(1e-3, 1e2, 16))
# Costs that many ops share are hardly shrunk.
_SHARED_SCALE = 30.0
# What a measured ratio is off by at least, relative; so that no row counts for all others.
_LEAST_ERROR = 0.03
_LEAST_LATENCY = 0.05


@dataclass(frozen=True)
class AdditiveLatency:
    """Latency ratio as a sum over parameters and over pairs of them.

    Attributes:
        intercept: What is always there.
        unary: Per parameter, an array of shape (values,).
        pairs: Terms of edges.
    """

    intercept: float
    unary: tuple[Values, ...]
    pairs: tuple[PairTerm, ...]

    def __call__(self, choices: Choices) -> Values:
        """Ratios of configurations; ``choices`` of shape (configurations, parameters)."""
        result = np.full(len(choices), self.intercept)
        for p, values in enumerate(self.unary):
            result += values[choices[:, p]]
        for i, j, table in self.pairs:
            result += table[choices[:, i], choices[:, j]]
        return np.maximum(result, _LEAST_LATENCY)


class LatencyFeatures:
    """What the regression sees of a configuration.

    Args:
        parameters: Name to values, in graph order.
        op_graph: As a landscape's header has it.
    """

    def __init__(
        self, parameters: Mapping[str, Sequence[str]], op_graph: Mapping[str, Any]
    ) -> None:
        self._values = [tuple(values) for values in parameters.values()]
        types = sorted({label for values in self._values for label in values})
        number = {label: t for t, label in enumerate(types)}
        most = max(map(len, self._values))
        self._type = np.zeros((len(self._values), most), np.int64)
        for p, values in enumerate(self._values):
            self._type[p, : len(values)] = [number[label] for label in values]
        self._types = len(types)
        position = {name: p for p, name in enumerate(parameters)}
        ops = {row["name"]: row for row in op_graph["parameters"]}
        kinds = [str(ops.get(name, {}).get("op_type")) for name in parameters]
        self._kinds = [sorted(set(kinds)).index(kind) for kind in kinds]
        self._sizes = np.stack(
            [
                _shares([ops.get(name, {}).get(key) for name in parameters])
                for key in ("multiply_adds", "output_elements")
            ]
        )
        listed = [(position[a], position[b], n) for a, b, n in op_graph["edges"]]
        self._edges = [(i, j) for i, j, _ in listed]
        self._edge_sizes = _shares([size for _, _, size in listed])
        # Large edges deviate more, but less than in proportion.
        self._deviation_sizes = np.sqrt(self._edge_sizes * len(listed))

    def matrix(self, choices: Choices, edge_scale: float) -> npt.NDArray[np.float64]:
        """Features of shape (configurations, features); see the module for what they are."""
        rows, count = len(choices), len(self._values)
        types = self._type[np.arange(count), choices]
        one_hot = np.eye(self._types)[types]
        kinds = np.eye(max(self._kinds) + 1)[self._kinds]
        shared = np.einsum("sp,pk,rpt->rskt", self._sizes, kinds, one_hot)
        blocks = [_SHARED_SCALE * shared.reshape(rows, -1), one_hot.reshape(rows, -1)]
        if self._edges:
            i, j = np.array(self._edges).T
            change = np.einsum("rea,reb->reab", one_hot[:, i], one_hot[:, j])
            change *= 1 - np.eye(self._types)
            by_kind = np.einsum("e,reab->rab", self._edge_sizes, change)
            blocks.append(_SHARED_SCALE * by_kind.reshape(rows, -1))
            blocks.append(edge_scale * self._deviation_sizes * change.sum(axis=(2, 3)))
        return np.concatenate(blocks, axis=1)

    def tables(
        self, intercept: float, weights: npt.NDArray[np.float64], edge_scale: float
    ) -> AdditiveLatency:
        """A linear function of the features, told apart into parameters and pairs."""
        count = len(self._values)
        ends = self._types * (len(self._sizes) * (max(self._kinds) + 1) + count)
        of_ops, of_edges = weights[:ends], weights[ends:]
        shared = of_ops[: ends - self._types * count].reshape(len(self._sizes), -1, self._types)
        own = of_ops[ends - self._types * count :].reshape(count, self._types)
        by_type = own + _SHARED_SCALE * np.einsum(
            "sp,spt->pt", self._sizes, shared[:, self._kinds]
        )
        unary = tuple(
            by_type[p, self._type[p, : len(values)]] for p, values in enumerate(self._values)
        )
        if not self._edges:
            return AdditiveLatency(intercept, unary, ())
        by_kind = of_edges[: self._types**2].reshape(self._types, self._types)
        deviations = of_edges[self._types**2 :]
        pairs = []
        for e, (i, j) in enumerate(self._edges):
            own_cost = edge_scale * self._deviation_sizes[e] * deviations[e]
            table = _SHARED_SCALE * self._edge_sizes[e] * by_kind + own_cost
            table = table * (1 - np.eye(self._types))
            first = self._type[i, : len(self._values[i])]
            second = self._type[j, : len(self._values[j])]
            pairs.append((i, j, table[np.ix_(first, second)]))
        return AdditiveLatency(intercept, unary, tuple(pairs))


def fit_latency(
    features: LatencyFeatures, choices: Choices, ratios: Values, stderrs: Values
) -> AdditiveLatency:
    """Fit the surrogate.

    Args:
        features: Of the search space.
        choices: Value positions, shape (rows, parameters).
        ratios: Measured latency ratios, shape (rows,).
        stderrs: Their standard errors, same shape.
    """
    weights = 1 / (stderrs**2 + (_LEAST_ERROR * ratios) ** 2)
    weights = weights / weights.mean()
    best: tuple[float, float, RidgeCV] | None = None
    for scale in _EDGE_SCALES:
        # Leaves one row out at a time; its score is negative, 0 is perfect.
        model = RidgeCV(_STRENGTHS).fit(features.matrix(choices, scale), ratios, weights)
        if best is None or model.best_score_ > best[0]:
            best = (float(model.best_score_), scale, model)
    if best is None:
        raise ValueError("There is no edge scale to try.")
    _, scale, model = best
    return features.tables(float(model.intercept_), np.asarray(model.coef_), scale)


def _shares(values: Sequence[float | None]) -> Values:
    """Shares of the total; what is unknown counts as the mean of what is known."""
    known = [value for value in values if value]
    usual = float(np.mean(known)) if known else 1.0
    filled = np.array([usual if value is None else float(value) for value in values])
    result: Values = filled / (filled.sum() or 1.0)
    return result
