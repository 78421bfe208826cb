"""The fastest configuration that a surrogate accepts, proven by mixed-integer programming.

Groups that only add noise together do not fit ``AdditiveProgram``. The program is solved without
them, which can only make it better; where its solution has all of a group in int8, it is solved
again with the group's noise paid for, and once for each member that is not in int8 (branch and
bound).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices
from nc_sigopt_benchmarks.research.landscapes.noise_fit import Group
from nc_sigopt_benchmarks.research.landscapes.optimum import (
    AdditiveProgram,
    NoOptimumError,
    solve_optimum,
)
from nc_sigopt_benchmarks.research.landscapes.surrogate import Surrogate


@dataclass(frozen=True)
class _Branch:
    """A part of the search.

    Attributes:
        paid: Groups whose members all are in int8.
        in_int8: Positions of parameters that must be in int8 (``True``) or must not be.
    """

    paid: tuple[Group, ...] = ()
    in_int8: Mapping[int, bool] = field(default_factory=dict)


def surrogate_optimum(surrogate: Surrogate, least_accuracy: float) -> Choices:
    """Value positions of the fastest configuration, shape (parameters,).

    Raises:
        NoOptimumError: No configuration is accurate enough, or the solver did not prove one.
    """
    budget = surrogate.accuracy.noise_at(least_accuracy)
    best: Choices | None = None
    best_latency = np.inf
    branches = [_Branch()]
    while branches:
        branch = branches.pop()
        try:
            found = solve_optimum(_program(surrogate, budget, branch))
        except NoOptimumError:
            # Fixed values can leave no solution; the whole problem has one, if any has.
            if branch == _Branch():
                raise
            continue
        latency = float(surrogate.latency(found[None])[0])
        if latency >= best_latency:
            continue
        unpaid = _unpaid(surrogate, found, branch.paid)
        if unpaid is None:
            best, best_latency = found, latency
            continue
        for member in unpaid.members:
            if branch.in_int8.get(member, False) is False:
                branches.append(_Branch(branch.paid, {**branch.in_int8, member: False}))
        forced = {**branch.in_int8, **dict.fromkeys(unpaid.members, True)}
        branches.append(_Branch((*branch.paid, unpaid), forced))
    if best is None:
        raise NoOptimumError("No configuration of the surrogate is accurate enough.")
    return best


def _program(surrogate: Surrogate, budget: float, branch: _Branch) -> AdditiveProgram:
    noise = surrogate.noise
    weight = [values.copy() for values in noise.unary]
    for p, wanted in branch.in_int8.items():
        weight[p][noise.int8[p] != wanted] = 2 * budget
    return AdditiveProgram(
        cost=list(surrogate.latency.unary),
        weight=weight,
        budget=budget - sum(group.amount for group in branch.paid),
        cost_pairs=surrogate.latency.pairs,
    )


def _unpaid(surrogate: Surrogate, choice: Choices, paid: Sequence[Group]) -> Group | None:
    """A group that is all int8 in a solution without its noise having been counted."""
    noise = surrogate.noise
    for group in noise.groups:
        if group not in paid and all(noise.int8[p][choice[p]] for p in group.members):
            return group
    return None
