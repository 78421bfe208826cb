"""The fastest types for all ops whose total damage keeps a limit: a knapsack on a graph.

The limit is priced into the costs (Lagrangian relaxation; Fisher, "The Lagrangian Relaxation
Method for Solving Integer Programming Problems", 1981). For a price, the cheapest types are found
exactly by eliminating one op after the other (Dechter, "Bucket Elimination", 1999), for many
prices at once. What the relaxation leaves of the limit is used by exchanging single ops and pairs.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers

PRICES = 16
REFINEMENTS = 1
# Of the priced solutions so many are improved by exchanges: between the prices lie configurations
# that no price gives.
IMPROVED = 2
EXCHANGES = 30
# An op with more neighbours than this at its elimination loses its cheapest edges: the tables
# grow with the power of it.
WIDEST = 6


@dataclass(frozen=True)
class AssignmentProblem:
    """Costs and weights of P ops in T types; infinite cost where an op lacks a type.

    Attributes:
        cost: Shape (P, T).
        weight: Shape (P, T), any sign.
        limit: On the total weight.
        edges: Positions of neighbours, shape (E, 2).
        edge_cost: Shape (E, T, T).
    """

    cost: Floats
    weight: Floats
    limit: float
    edges: Integers
    edge_cost: Floats

    @property
    def lightest(self) -> Integers:
        """The types of the least weight, shape (P,)."""
        possible = np.where(np.isfinite(self.cost), self.weight, np.inf)
        types: Integers = np.argmin(possible, axis=1).astype(np.int64)
        return types

    def total(self, types: Integers) -> tuple[Floats, Floats]:
        """Costs and weights of configurations by type, shape (N, P): two of shape (N,)."""
        rows = np.arange(types.shape[1])
        a, b = types[:, self.edges[:, 0]], types[:, self.edges[:, 1]]
        crossing = self.edge_cost[np.arange(len(self.edges)), a, b].sum(axis=1)
        return self.cost[rows, types].sum(axis=1) + crossing, self.weight[rows, types].sum(axis=1)


def solve(problem: AssignmentProblem) -> Integers:
    """Types of shape (P,): the cheapest found whose weight keeps the limit.

    Where none keeps it, those of the least weight.
    """
    if problem.total(problem.lightest[None])[1][0] > problem.limit:
        return problem.lightest
    candidates, _ = relax(problem)
    return best_improved(problem, np.concatenate([*candidates, problem.lightest[None]]))


def best_improved(problem: AssignmentProblem, candidates: Integers) -> Integers:
    """The best of the ``IMPROVED`` most promising candidates, shape (N, P), after exchanges."""
    candidates = np.unique(candidates, axis=0)
    cost, weight = problem.total(candidates)
    # What is a little too heavy may need one exchange only.
    excess = np.maximum(weight / problem.limit - 1, 0) if problem.limit > 0 else weight > 0
    promising = np.argsort(cost * (1 + 0.2 * excess) + 1e9 * (excess > 0.5))[:IMPROVED]
    best = np.array([improve(problem, candidates[n]) for n in promising])
    cost, weight = problem.total(best)
    result: Integers = best[int(np.argmin(np.where(weight <= problem.limit, cost, np.inf)))]
    return result


def improve(problem: AssignmentProblem, types: Integers) -> Integers:
    """Change single ops and pairs of ops while that is cheaper and keeps the limit.

    Types that are too heavy are first made lighter, at the least cost per weight.
    """
    types = types.astype(np.int64)
    count, kinds = problem.cost.shape
    owner = np.repeat(np.arange(count), kinds)
    for _ in range(EXCHANGES):
        (cost,), (weight,) = problem.total(types[None])
        moves, heavier = (table.ravel() for table in move_costs(problem, types))
        real = np.isfinite(moves) & (np.arange(len(moves)) % kinds != types[owner])
        over = weight - problem.limit
        if over > 0:
            relief = np.minimum(-heavier, over)
            price = np.where(real & (relief > 0), moves / np.maximum(relief, 1e-300), np.inf)
            changes = [int(np.argmin(price))]
        else:
            single = np.where(real & (heavier <= -over), moves, np.inf)
            pick = int(np.argmin(single))
            changes = [pick]
            if not single[pick] < -1e-12 * abs(cost):
                changes = _pair(moves, heavier, -over, owner, real)
        new = types.copy()
        for change in changes:
            new[owner[change]] = change % kinds
        (new_cost,), (new_weight,) = problem.total(new[None])
        if over <= 0 and not (new_cost < cost - 1e-12 * abs(cost) and new_weight <= problem.limit):
            break
        types = new
    return types


def move_costs(problem: AssignmentProblem, types: Integers) -> tuple[Floats, Floats]:
    """What changing one op to another type adds in cost and in weight, each of shape (P, T)."""
    i, j = problem.edges[:, 0], problem.edges[:, 1]
    at = np.arange(len(problem.edges))
    cost = problem.cost.copy()
    np.add.at(cost, i, problem.edge_cost[at, :, types[j]])
    np.add.at(cost, j, problem.edge_cost[at, types[i], :])
    rows = np.arange(len(types))
    heavier: Floats = problem.weight - problem.weight[rows, types][:, None]
    return cost - cost[rows, types][:, None], heavier


def _pair(
    cost: Floats, heavier: Floats, slack: float, owner: Integers, real: npt.NDArray[np.bool_]
) -> list[int]:
    """The best exchange: one op gets cheaper and heavier, another dearer and lighter."""
    cheaper = np.flatnonzero(real & (cost < 0))
    lighter = np.flatnonzero(real & (heavier < 0))
    if not len(cheaper) or not len(lighter):
        return []
    total = cost[cheaper][:, None] + cost[lighter][None, :]
    more = heavier[cheaper][:, None] + heavier[lighter][None, :]
    total[(more > slack) | (owner[cheaper][:, None] == owner[lighter][None, :])] = np.inf
    a, b = np.unravel_index(int(np.argmin(total)), total.shape)
    return [int(cheaper[a]), int(lighter[b])] if total[a, b] < 0 else []


def relax(problem: AssignmentProblem) -> tuple[list[Integers], float]:
    """Priced solutions around the price at which the limit is just kept, and that price.

    The price is 0 where the limit is kept for free or at no price.
    """
    finite = np.where(np.isfinite(problem.cost), problem.cost, 0.0)
    span_cost = float((finite.max(axis=1) - finite.min(axis=1)).sum()) or 1.0
    heaviest = float((problem.weight.max(axis=1) - problem.weight.min(axis=1)).max()) or 1.0
    unit = span_cost / heaviest
    prices = np.concatenate([[0.0], np.geomspace(1e-5, 1e3, PRICES - 1) * unit])
    found, price = [], 0.0
    for _ in range(1 + REFINEMENTS):
        found.append(priced(problem, prices[:, None, None] * problem.weight))
        kept = np.flatnonzero(problem.total(found[-1])[1] <= problem.limit)
        if len(kept) == 0 or kept[0] == 0:
            break
        price = float(prices[kept[0]])
        prices = np.linspace(prices[kept[0] - 1], price, PRICES // 2 + 1)[1:]
    return found, price


def priced(problem: AssignmentProblem, surcharge: Floats) -> Integers:
    """Cheapest types, shape (B, P), where each op and type costs the surcharge (B, P, T) more."""
    count, kinds = problem.cost.shape
    tables = problem.cost + surcharge
    plan = _plan(tuple(map(tuple, problem.edges.tolist())), count)
    batch = len(surcharge)
    # Every step's table has one axis for the batch, then one per op of its scope.
    waiting: dict[int, list[tuple[tuple[int, ...], Floats]]] = {}
    found: list[tuple[int, tuple[int, ...], Integers]] = []
    for op, scope, edges in plan:
        total = tables[:, op].reshape(batch, kinds, *(1,) * len(scope))
        for e, other, flipped in edges:
            table = problem.edge_cost[e]
            table = table.T if flipped else table  # axes: op, other
            shape = [1, kinds] + [1] * len(scope)
            shape[2 + scope.index(other)] = kinds
            total = total + table.reshape(shape)
        for names, table in waiting.pop(op, ()):
            # ``names`` starts with this op; the rest is part of the scope, in its order.
            shape = [batch, kinds] + [kinds if other in names else 1 for other in scope]
            total = total + table.reshape(shape)
        found.append((op, scope, np.argmin(total, axis=1)))
        if scope:
            waiting.setdefault(scope[0], []).append((scope, _full(total.min(axis=1), kinds)))
    types = np.zeros((batch, count), np.int64)
    every = np.arange(batch)
    for op, scope, choice in reversed(found):
        where = (every, *(types[:, other] for other in scope))
        types[:, op] = _full(choice, kinds)[where]
    return types


def _full(table: npt.NDArray[Any], kinds: int) -> npt.NDArray[Any]:
    """A table with all types on every axis but the first."""
    shape = (table.shape[0], *(kinds,) * (table.ndim - 1))
    return table if table.shape == shape else np.broadcast_to(table, shape)


Step = tuple[int, tuple[int, ...], tuple[tuple[int, int, bool], ...]]


@functools.lru_cache(maxsize=32)
def _plan(edges: tuple[tuple[int, int], ...], count: int) -> tuple[Step, ...]:
    """The order of elimination: per step the op, the ops it leaves a table over, its edges.

    The op with the fewest neighbours goes first. A scope is in the order in which its ops are
    eliminated later, so that a table waits for the first of them.
    """
    kept = {(min(i, j), max(i, j)) for i, j in edges if i != j}
    order, scopes = _eliminate(kept, count)
    while max((len(scope) for scope in scopes.values()), default=0) > WIDEST:
        degree = np.bincount(np.array(sorted(kept)).ravel(), minlength=count)
        kept.discard(max(kept, key=lambda edge: (int(degree[edge[0]] + degree[edge[1]]), edge)))
        order, scopes = _eliminate(kept, count)
    place = {op: n for n, op in enumerate(order)}
    joined: dict[int, list[tuple[int, int, bool]]] = {op: [] for op in range(count)}
    for e, (i, j) in enumerate(edges):
        if (min(i, j), max(i, j)) in kept:
            first, second = (i, j) if place[i] < place[j] else (j, i)
            joined[first].append((e, second, first == j))
    return tuple(
        (op, tuple(sorted(scopes[op], key=place.__getitem__)), tuple(joined[op])) for op in order
    )


def _eliminate(
    edges: set[tuple[int, int]], count: int
) -> tuple[list[int], dict[int, frozenset[int]]]:
    """Order of elimination, and for each op the neighbours it has when its turn comes."""
    neighbours: dict[int, set[int]] = {op: set() for op in range(count)}
    for i, j in edges:
        neighbours[i].add(j)
        neighbours[j].add(i)
    order: list[int] = []
    scopes: dict[int, frozenset[int]] = {}
    left = set(range(count))
    while left:
        op = min(left, key=lambda candidate: (len(neighbours[candidate]), candidate))
        scopes[op] = frozenset(neighbours[op])
        for other in scopes[op]:
            neighbours[other] |= scopes[op]
            neighbours[other] -= {op, other}
        order.append(op)
        left.discard(op)
    return order, scopes
