"""From the history to the next configuration: learn, draw, solve the draws, take the best."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from nc_sigopt_strategy.sampling.conventions import TuningExperiment
from nc_sigopt_strategy.sampling.quantization.acquisition import Acquisition
from nc_sigopt_strategy.sampling.quantization.assignment_problem import (
    AssignmentProblem,
    best_improved,
    priced,
    relax,
    solve,
)
from nc_sigopt_strategy.sampling.quantization.damage import Damage, learn_damage
from nc_sigopt_strategy.sampling.quantization.latency_model import CostTables, LatencyModel
from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.trial_arrays import TrialArrays, key

# Draws from the posterior, candidates made of them, steps uphill from the best candidates.
DRAWS = 32
CANDIDATES = 64
STEPS = 4
# Early on, a suggestion is often what one draw calls best (Thompson sampling) and not what
# promises most over all draws: the latter goes in small safe steps while little is known.
EARLY_TRIALS, EARLY_DRAWS = 20, 0.6
# What is to blame for one failed trial costs this many times the slowest latency.
FAILURE_COST = 2.0


def suggest(
    space: OpSpace, history: TrialArrays, experiment: TuningExperiment, rng: np.random.Generator
) -> Integers:
    """Value positions of the next configuration, shape (P,)."""
    tried = history.tried
    # What the types cost in all is known once two of them were timed, in trials or by probes.
    timed = 0 if history.probes is None else int(history.probes.timed.sum())
    if len(history.latency) == 0 or len(history.latency) + timed < 2:
        for anchor in (np.zeros_like(space.sizes), space.sizes - 1):
            if key(anchor) not in tried:
                return anchor
    if len(history.latency) == 0:
        return _untried(rng.integers(0, space.sizes), space, tried, rng)
    history = history.recent()
    learned = _learn(space, history, experiment, rng)
    if len(history.latency) < EARLY_TRIALS and rng.random() < EARLY_DRAWS:
        choice = _of_one_draw(space, learned, int(rng.integers(DRAWS)))
        if key(choice) not in tried:
            return choice
    acquisition, candidates = _to_choose_from(space, history, learned, rng)
    return _uphill(acquisition, candidates, space, tried, rng)


def expected_gain(
    space: OpSpace, history: TrialArrays, experiment: TuningExperiment, rng: np.random.Generator
) -> float:
    """What the most promising untried configuration is expected to save, as a share of latency.

    Its expected improvement over the fastest that met the bound, over that one's latency; the
    odds that it misses the bound, or does not run, are counted in.

    Args:
        space: The search space.
        history: At least one measured trial.
        experiment: The bound.
        rng: Where the draws come from.
    """
    tried, history = history.tried, history.recent()
    learned = _learn(space, history, experiment, rng)
    acquisition, candidates = _to_choose_from(space, history, learned, rng)
    best = _uphill(acquisition, candidates, space, tried, rng)
    if key(best) in tried:
        return 0.0
    return float(acquisition(best[None])[0] / acquisition.incumbent.mean())


@dataclass(frozen=True)
class _Learned:
    """The models of a history, and what they make of costs; blame as ``Acquisition`` has it.

    ``confidence`` is with what probability the bound is to be kept.
    """

    latency: LatencyModel
    damage: Damage
    blame: Floats
    costs: CostTables
    confidence: float


def _learn(
    space: OpSpace, history: TrialArrays, experiment: TuningExperiment, rng: np.random.Generator
) -> _Learned:
    latency = LatencyModel.of(space, history)
    damage = learn_damage(space, history, experiment, rng, DRAWS)
    if len(history.pending):
        latency, damage = _with_pending(space, history, experiment, latency, damage, rng)
    blame = _blame(space, history)
    costs = latency.mean()
    dearer = costs.ops + FAILURE_COST * history.latency.max() * blame
    costs = dataclasses.replace(costs, ops=dearer)
    return _Learned(latency, damage, blame, costs, experiment.bound_confidence)


def _to_choose_from(
    space: OpSpace, history: TrialArrays, learned: _Learned, rng: np.random.Generator
) -> tuple[Acquisition, Integers]:
    """What configurations promise, and where to look for the best; shape (N, P)."""
    acquisition, incumbent = _acquisition(space, history, learned, rng)
    candidates = _candidates(space, learned, rng)
    return acquisition, np.unique(np.concatenate([candidates, incumbent[None]]), axis=0)


def _acquisition(
    space: OpSpace, history: TrialArrays, learned: _Learned, rng: np.random.Generator
) -> tuple[Acquisition, Integers]:
    """What is to be improved on: the fastest that met the bound, and likely does so by right."""
    latency, damage = learned.latency, learned.damage
    draws = latency.draws(rng, DRAWS)
    expected = latency.latencies(draws, space.types_of(history.choices))
    kept = damage.kept(history.choices).mean(axis=0)
    feasible = history.feasible
    if feasible.any():
        trusted = feasible & (kept >= min(learned.confidence, float(kept[feasible].max())))
        best = int(np.flatnonzero(trusted)[np.argmin(expected.mean(axis=0)[trusted])])
        level = expected[:, best]
    else:
        # Anything faster than the slowest that is known is progress.
        best, level = int(np.argmax(kept)), expected.max(axis=1)
        if history.probes is not None and history.probes.timed.any():
            timed = space.types_of(history.probes.choices[history.probes.timed])
            level = np.maximum(level, latency.latencies(draws, timed).max(axis=1))
    acquisition = Acquisition(
        space, latency, draws, damage, level, learned.blame, learned.confidence
    )
    return acquisition, history.choices[best]


def _of_one_draw(space: OpSpace, learned: _Learned, n: int) -> Integers:
    damage = learned.damage
    limit = min(float(damage.limits[n]), damage.limit(learned.confidence))
    problem, value_of = problem_of(space, learned.costs, damage.tables[n], limit)
    types = solve(problem)
    choice: Integers = value_of[np.arange(len(types)), types]
    return choice


def _candidates(space: OpSpace, learned: _Learned, rng: np.random.Generator) -> Integers:
    """Configurations that are best at some price of damage, in some draw; shape (N, P)."""
    costs, damage = learned.costs, learned.damage
    limit = damage.limit(learned.confidence)
    problem, value_of = problem_of(space, costs, damage.tables.mean(axis=0), limit)
    found, price = relax(problem)
    found.append(best_improved(problem, np.concatenate(found))[None])
    if price > 0:
        weights = np.array(
            [problem_of(space, costs, table, limit)[0].weight for table in damage.tables]
        )
        which = np.arange(CANDIDATES) % len(weights)
        around = price * np.exp(rng.uniform(-1.5, 1.5, CANDIDATES))
        found.append(priced(problem, around[:, None, None] * weights[which]))
    choices: Integers = value_of[np.arange(len(space.names)), np.concatenate(found)]
    return choices


def problem_of(
    space: OpSpace, costs: CostTables, damage: Floats, limit: float
) -> tuple[AssignmentProblem, Integers]:
    """One draw as a problem over types, and the value that stands for each type, shape (P, T).

    All values of a type take the same time, so the least damaging one stands for it.
    """
    count, kinds = costs.ops.shape
    value_of = np.zeros((count, kinds), np.int64)
    weight = np.zeros((count, kinds))
    cost = np.full((count, kinds), np.inf)
    for kind in range(kinds):
        has = space.type_of == kind
        some = has.any(axis=1)
        best = np.argmin(np.where(has, damage, np.inf), axis=1)
        value_of[:, kind] = best
        weight[some, kind] = damage[some, best[some]]
        cost[some, kind] = costs.ops[some, kind]
    return AssignmentProblem(cost, weight, limit, space.edges, costs.edges), value_of


def _blame(space: OpSpace, history: TrialArrays) -> Floats:
    """How much each op and type is to blame for failed trials, shape (P, T).

    A failure is blamed evenly on those of its values that no measured trial has.
    """
    blame = np.zeros((len(space.names), len(space.types)))
    measured = space.types_of(history.choices)
    for failed in space.types_of(history.failed):
        suspects = np.flatnonzero(~(measured == failed).any(axis=0))
        blame[suspects, failed[suspects]] += 1.0 / max(len(suspects), 1)
    return blame


def _with_pending(
    space: OpSpace,
    history: TrialArrays,
    experiment: TuningExperiment,
    latency: LatencyModel,
    damage: Damage,
    rng: np.random.Generator,
) -> tuple[LatencyModel, Damage]:
    """The models as if open trials had found what is expected of them.

    The "kriging believer" (Ginsbourger et al., "Kriging Is Well-Suited to Parallelize
    Optimization", 2010).
    """
    expected = latency.latencies(latency.draws(rng, DRAWS), space.types_of(history.pending))
    believed = history.with_pending(
        np.maximum(expected.mean(axis=0), 1e-3 * history.latency.min()),
        damage.of(history.pending).mean(axis=0),
    )
    latency = LatencyModel.of(space, believed)
    return latency, learn_damage(space, believed, experiment, rng, DRAWS)


def _uphill(
    acquisition: Acquisition,
    candidates: Integers,
    space: OpSpace,
    tried: set[bytes],
    rng: np.random.Generator,
) -> Integers:
    """The most promising configuration that was not tried, by single changes from the best."""
    best: Integers | None = None
    best_value = -1.0
    around = candidates
    for _ in range(1 + STEPS):
        values = acquisition(around)
        order = np.argsort(-values, kind="stable")
        top = next((int(n) for n in order if key(around[n]) not in tried), None)
        if best is None and top is None:
            around = _neighbours(space, around[order[0]])  # all candidates were tried
            continue
        if top is None or values[top] <= best_value:
            break
        best, best_value = around[top], float(values[top])
        around = _neighbours(space, best)
    if best is None or best_value <= 0:
        # Nothing promises anything: the last resort is the neighbourhood of the best known.
        return _untried(candidates[0] if best is None else best, space, tried, rng)
    return best


def _neighbours(space: OpSpace, choice: Integers) -> Integers:
    """All configurations that differ in one value, shape (N, P)."""
    values = np.arange(space.type_of.shape[1])
    changed = (space.type_of >= 0) & (values[None, :] != choice[:, None])
    at, value = np.nonzero(changed)
    near: Integers = np.repeat(choice[None], len(at), axis=0)
    near[np.arange(len(at)), at] = value
    return near


def _untried(
    choice: Integers, space: OpSpace, tried: set[bytes], rng: np.random.Generator
) -> Integers:
    """The choice itself, or one near it that was not tried, if one is found."""
    for _ in range(100):
        if key(choice) not in tried:
            break
        some = rng.random(len(choice)) < max(0.1, 2 / len(choice))
        choice = np.where(some, rng.integers(0, space.sizes), choice)
    return choice
