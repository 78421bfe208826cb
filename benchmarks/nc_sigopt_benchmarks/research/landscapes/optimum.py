"""The best configuration of an additive landscape, by mixed-integer linear programming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import optimize, sparse

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Values
from nc_sigopt_strategy.errors import SigOptStrategyError

# (parameter i, parameter j, table of shape (values of i, values of j)).
PairTerm = tuple[int, int, Values]


class NoOptimumError(SigOptStrategyError):
    """The program has no solution, or the solver did not prove one."""


@dataclass
class AdditiveProgram:
    """Minimize a sum over parameters and pairs, with another such sum bounded from above.

    Attributes:
        cost: Per parameter, an array of shape (values,).
        weight: Likewise.
        budget: Upper bound on the total weight.
        cost_pairs: Terms that two parameters share.
        weight_pairs: Likewise.
    """

    cost: Sequence[Values]
    weight: Sequence[Values]
    budget: float
    cost_pairs: Sequence[PairTerm] = field(default_factory=tuple)
    weight_pairs: Sequence[PairTerm] = field(default_factory=tuple)


def solve_optimum(
    program: AdditiveProgram, *, gap: float = 1e-4, seconds: float = 120.0
) -> Choices:
    """The optimal value positions, shape (parameters,), by HiGHS through ``scipy.optimize.milp``.

    One binary per value. A pair term that is not constant gets one continuous variable per cell,
    whose row and column sums are the binaries of its two parameters (the tight linearization).

    Args:
        program: What to solve.
        gap: Relative gap at which the solution counts as proven.
        seconds: Time limit of the solver.

    Raises:
        NoOptimumError: No configuration keeps the budget, or the time ran out.
    """
    sizes = [len(values) for values in program.cost]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    pairs: dict[tuple[int, int], list[Values]] = {}
    for kind, terms in enumerate((program.cost_pairs, program.weight_pairs)):
        for i, j, table in terms:
            tables = pairs.setdefault((i, j), [np.zeros(table.shape), np.zeros(table.shape)])
            tables[kind] = tables[kind] + table
    cells = int(starts[-1])
    cost, weight = [np.concatenate(program.cost)], [np.concatenate(program.weight)]
    equal: list[tuple[list[int], list[float], float]] = [
        (list(range(starts[p], starts[p + 1])), [1.0] * sizes[p], 1.0) for p in range(len(sizes))
    ]
    for (i, j), (cost_table, weight_table) in pairs.items():
        index = cells + np.arange(sizes[i] * sizes[j]).reshape(sizes[i], sizes[j])
        cells += index.size
        cost.append(cost_table.ravel())
        weight.append(weight_table.ravel())
        for a in range(sizes[i]):
            equal.append(([*index[a], starts[i] + a], [1.0] * sizes[j] + [-1.0], 0.0))
        for b in range(sizes[j]):
            equal.append(([*index[:, b], starts[j] + b], [1.0] * sizes[i] + [-1.0], 0.0))
    data = [value for _, values, _ in equal for value in values]
    columns = [column for indices, _, _ in equal for column in indices]
    row_of = [row for row, (indices, _, _) in enumerate(equal) for _ in indices]
    right = np.array([value for _, _, value in equal])
    matrix = sparse.csr_matrix((data, (row_of, columns)), shape=(len(equal), cells))
    scale = max(abs(program.budget), 1e-300)
    solved = optimize.milp(
        np.concatenate(cost),
        integrality=(np.arange(cells) < starts[-1]).astype(int),
        bounds=optimize.Bounds(0, 1),
        constraints=[
            optimize.LinearConstraint(matrix, right, right),
            # Scaled: output noises are far below HiGHS's feasibility tolerance of 1e-6.
            optimize.LinearConstraint(
                sparse.csr_matrix(np.concatenate(weight) / scale), -np.inf, program.budget / scale
            ),
        ],
        options={"mip_rel_gap": gap, "time_limit": seconds},
    )
    if solved.x is None or solved.status != 0:
        raise NoOptimumError(f"The optimum was not found: {str(solved.message).strip()}")
    return np.array(
        [int(np.argmax(solved.x[starts[p] : starts[p + 1]])) for p in range(len(sizes))]
    )
