"""An output noise surrogate: a sum of what each op adds, none of it negative.

Independent errors add their powers. An op without weights of its own, such as a pooling, is run
in int8 only where all its neighbours are, and its output then is as coarse as its input: such
groups add a share of their own. Rows span decades, so the errors of logarithms are what is
squared, starting from non-negative least squares; amounts are drawn to what is usual among their
kind, as strongly as cross-validation finds best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares, nnls
from sklearn.model_selection import KFold

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Values

_FP32 = "fp32"
_QUANTIZED = "int8"
_GROUP = "group"
LEAST_NOISE = 1e-9
_STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1)
_GROUP_PULL = 0.01
_FOLDS = 5
# Of the optimizer; amounts that rows say little about would take many more.
_STEPS = 40
# Groups that add less than this share of the noisiest row are none.
_LEAST_GROUP = 0.02


@dataclass(frozen=True)
class Group:
    """Parameters that together add noise where all of them are in int8.

    Attributes:
        members: Their positions.
        amount: What they add, at least 0.
    """

    members: tuple[int, ...]
    amount: float


@dataclass(frozen=True)
class AdditiveNoise:
    """Output noise as a sum over parameters and over groups of them.

    Attributes:
        unary: Per parameter, an array of shape (values,), not negative.
        groups: Those that add something.
        int8: Per parameter, which of its values are int8, shape (values,).
    """

    unary: tuple[Values, ...]
    groups: tuple[Group, ...]
    int8: tuple[npt.NDArray[np.bool_], ...]

    def __call__(self, choices: Choices) -> Values:
        """Noises of configurations; ``choices`` of shape (configurations, parameters)."""
        result = np.full(len(choices), LEAST_NOISE)
        for p, values in enumerate(self.unary):
            result += values[choices[:, p]]
        for group in self.groups:
            result += group.amount * _all_int8(choices, group.members, self.int8)
        return result


def fit_noise(
    parameters: Mapping[str, Sequence[str]],
    op_graph: Mapping[str, Any],
    choices: Choices,
    noises: Values,
) -> AdditiveNoise:
    """Fit the surrogate.

    Args:
        parameters: Name to values, in graph order.
        op_graph: As a landscape's header has it.
        choices: Value positions, shape (rows, parameters).
        noises: Measured output noises, shape (rows,); rows without any say nothing.
    """
    values = [tuple(row) for row in parameters.values()]
    unary = [
        (p, v) for p, row in enumerate(values) for v, label in enumerate(row) if label != _FP32
    ]
    int8 = tuple(np.array([label.startswith(_QUANTIZED) for label in row]) for row in values)
    groups = _groups(list(parameters), op_graph)
    noisy = noises > LEAST_NOISE
    rows, known = choices[noisy], noises[noisy]
    columns = [rows[:, p] == v for p, v in unary]
    columns += [_all_int8(rows, members, int8) for members in groups]
    kinds = np.array([values[p][v] for p, v in unary] + [_GROUP] * len(groups))
    found = _fit(np.stack(columns, axis=1).astype(float), known, kinds)
    by_value = [np.zeros(len(row)) for row in values]
    for (p, v), amount in zip(unary, found, strict=False):
        by_value[p][v] = amount
    added = [
        Group(members, float(amount))
        for members, amount in zip(groups, found[len(unary) :], strict=True)
        if amount > _LEAST_GROUP * known.max()
    ]
    return AdditiveNoise(tuple(by_value), tuple(added), int8)


def _fit(matrix: Values, noises: Values, kinds: npt.NDArray[np.str_]) -> Values:
    """Amounts above 0, shape (terms,), whose sums are the noises.

    Args:
        matrix: Which terms a row has, 0 or 1, shape (rows, terms).
        noises: Shape (rows,), above 0.
        kinds: Terms of one kind are of a usual size, shape (terms,).
    """
    first, _ = nnls(matrix / noises[:, None], np.ones(len(noises)))
    least = noises.min() / len(kinds)
    usual = np.empty(len(kinds))
    for kind in np.unique(kinds):
        positive = first[(kinds == kind) & (first > 0)]
        usual[kinds == kind] = np.exp(np.log(positive).mean()) if len(positive) else least
    start = np.log(np.maximum(first, 1e-3 * usual))

    def solved(rows: npt.NDArray[np.int64], strength: float) -> Values:
        # A group adds what rows show, far more than is usual or nothing.
        pull = np.sqrt(strength) * np.where(kinds == _GROUP, _GROUP_PULL, 1.0)

        def missed(logs: Values) -> Values:
            fitted = np.log(matrix[rows] @ np.exp(logs))
            return np.concatenate([fitted - np.log(noises[rows]), pull * (logs - np.log(usual))])

        def slope(logs: Values) -> Values:
            parts = matrix[rows] * np.exp(logs)
            return np.concatenate([parts / parts.sum(axis=1, keepdims=True), np.diag(pull)])

        return np.exp(
            np.asarray(least_squares(missed, start, slope, max_nfev=_STEPS).x, np.float64)
        )

    folds = list(KFold(_FOLDS, shuffle=True, random_state=0).split(matrix))

    def error(strength: float) -> float:
        logs = [
            np.log(matrix[test] @ solved(train, strength) / noises[test]) for train, test in folds
        ]
        return float((np.concatenate(logs) ** 2).sum())

    return solved(np.arange(len(matrix)), min(_STRENGTHS, key=error))


def _groups(names: Sequence[str], op_graph: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """Ops without weights, each with all that it reads and that read it."""
    found = []
    for op in op_graph["parameters"]:
        if op["name"] not in names or op["op_type"] is None or op["weight_elements"] != 0:
            continue
        before = [a for a, b, _ in op_graph["edges"] if b == op["name"]]
        after = [b for a, b, _ in op_graph["edges"] if a == op["name"]]
        if before and after:
            found.append(tuple(names.index(name) for name in (*before, op["name"], *after)))
    return found


def _all_int8(
    choices: Choices, members: Sequence[int], int8: Sequence[npt.NDArray[np.bool_]]
) -> npt.NDArray[np.bool_]:
    result = np.ones(len(choices), bool)
    for p in members:
        result &= int8[p][choices[:, p]]
    return result
