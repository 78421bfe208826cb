"""This package's earlier first suggestions as a competitor: binary splitting, then TPE.

From the better of all-fp32 and all-bf16, segments of the graph go back to int8, largest first: a
segment that keeps the bound stays, one that breaks it is split in two. That is group testing by
binary splitting (Hwang, "A Method for Detecting All Defective Members in a Population by Group
Testing", 1972). When there is nothing left to split, TPE takes over.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.racing.op_values import OpValues
from nc_sigopt_benchmarks.research.racing.optuna_sampler import OptunaCompetitor, SamplerBuilder
from nc_sigopt_benchmarks.research.racing.planned import Plan, Planned
from nc_sigopt_benchmarks.research.racing.trial import Trial

LAST_LAYERS = 3
FIRST_SEGMENTS = 4


class BinarySplitting:
    """The plan, then a sampler.

    Args:
        landscape: What is searched.
        seed: The sampler's.
        build: Builds the sampler.
    """

    def __init__(self, landscape: Landscape, seed: int, build: SamplerBuilder) -> None:
        self._planned = Planned(splitting_plan(landscape))
        self._sampler = OptunaCompetitor(landscape, seed, build)

    def suggest(self, history: Sequence[Trial]) -> Choices | None:
        """The plan's next configuration, or the sampler's word when the plan is through."""
        choice = self._planned.suggest(history)
        return self._sampler.suggest(history) if choice is None else choice


def splitting_plan(landscape: Landscape) -> Plan:
    """The default, the brackets, then segments back to int8."""
    values = OpValues(landscape)
    ops = list(range(len(values.names)))
    default = yield values.default
    if default.meets_bound:
        return
    wholes = [
        (yield values.with_label(values.default, ops, "fp32")),
        (yield _precise(values, values.default, ops)),
    ]
    feasible = [trial for trial in wholes if trial.meets_bound]
    if not feasible:
        return
    best = min(feasible, key=lambda trial: trial.look.latency)
    segments = _middle_first(_split(ops, FIRST_SEGMENTS))
    whole_segments = len(segments)
    while segments:
        segment = segments.pop(0)
        trial = yield values.back(best.choice, segment)
        if _improves(trial, best):
            best = trial
        elif len(segment) > 1:
            segments.extend(_split(segment, 2))
            # The largest first: it has the most to gain.
            segments.sort(key=len, reverse=True)
        whole_segments -= 1
        if whole_segments == 0:
            # Once the bulk is decided: the last layers are wide and few, where bf16 is fast.
            for some in (ops[-LAST_LAYERS:], ops):
                out = [op for op in some if best.choice[op] != values.default[op]]
                trial = yield _precise(values, best.choice, out)
                if _improves(trial, best):
                    best = trial


def _precise(values: OpValues, base: Choices, ops: Sequence[int]) -> Choices:
    """Ops in bf16, or in fp32 where they have no bf16."""
    return values.with_label(values.with_label(base, ops, "fp32"), ops, "bf16")


def _improves(trial: Trial, best: Trial) -> bool:
    return trial.meets_bound and trial.look.latency < best.look.latency


def _split(ops: Sequence[int], parts: int) -> list[list[int]]:
    """Contiguous runs of nearly equal length; fewer where there are fewer ops than parts."""
    bounds = [round(i * len(ops) / parts) for i in range(parts + 1)]
    runs = [list(ops[a:b]) for a, b in itertools.pairwise(bounds)]
    return [run for run in runs if run]


def _middle_first(segments: list[list[int]]) -> list[list[int]]:
    centre = (len(segments) - 1) / 2
    order = sorted(range(len(segments)), key=lambda i: abs(i - centre))
    return [segments[i] for i in order]
