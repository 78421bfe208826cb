"""The first suggestions: configurations of known worth instead of random ones.

The default int8 model is the fastest there is. If it misses the bound, the all-fp32 and all-bf16
models bracket the answer from the other side, and from the better of them segments of the graph
go back to int8, largest first: a segment that keeps the bound stays, one that breaks it is split
in two. That is group testing by binary splitting (Hwang, "A Method for Detecting All Defective
Members in a Population by Group Testing", 1972): when few ops are sensitive, which holds for most
networks, they are found in few trials, and each accepted trial is a faster model than the last.

The middle of the graph goes first, because the first and last layers are where quantization hurts
most (Nagel et al., "A White Paper on Neural Network Quantization", 2021, section 2).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Mapping, Sequence

from .outcome import TrialRecord
from .search_space import Assignments, Parameter, SearchSpace

LAST_LAYERS = 3
FIRST_SEGMENTS = 4

Suggestion = tuple[str, Assignments]
AssignmentsKey = tuple[tuple[str, str], ...]
_Plan = Generator[Suggestion, TrialRecord, None]


def assignments_key(assignments: Mapping[str, str]) -> AssignmentsKey:
    """A hashable form of assignments, whatever their order."""
    return tuple(sorted(assignments.items()))


class InitialSuggestions:
    """Which configuration comes next, as a function of what was observed and of nothing else.

    So a run that is continued by another process goes on where it was.

    Args:
        space: The search space; its parameters are in graph order.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._ops = [p for p in space.parameters if p.ops]

    def next(self, observed: Mapping[AssignmentsKey, TrialRecord]) -> Suggestion | None:
        """Name and assignments to try next, or ``None`` when it is the sampler's turn.

        Args:
            observed: All trials of the experiment, failed ones included.
        """
        plan = self._plan()
        try:
            suggestion = next(plan)
            while (record := observed.get(assignments_key(suggestion[1]))) is not None:
                suggestion = plan.send(record)
        except StopIteration:
            return None
        return suggestion

    def _plan(self) -> _Plan:
        default = yield "default int8", dict(self._space.default)
        last = self._ops[-LAST_LAYERS:]
        yield self._precise("last layers", self._space.default, last, _bf16)
        if default.meets_bound:
            return
        whole = [
            (yield self._precise("all ops", self._space.default, self._ops, _fp32)),
            (yield self._precise("all ops", self._space.default, self._ops, _bf16)),
        ]
        feasible = [record for record in whole if record.meets_bound]
        if feasible:
            yield from self._back_to_int8(min(feasible, key=_latency))

    def _back_to_int8(self, start: TrialRecord) -> _Plan:
        best = start
        segments = _middle_first(_split(range(len(self._ops)), FIRST_SEGMENTS))
        whole_segments = len(segments)
        while segments:
            segment = segments.pop(0)
            restored = [self._ops[i] for i in segment]
            name = f"ops {segment[0] + 1} to {segment[-1] + 1} back in int8"
            trial = yield name, self._with(best.assignments, restored, self._default_value)
            if _improves(trial, best):
                best = trial
            elif len(segment) > 1:
                segments.extend(_split(segment, 2))
                # The largest first: it has the most to gain.
                segments.sort(key=len, reverse=True)
            whole_segments -= 1
            if whole_segments == 0:
                # Once the bulk is decided: the last layers are wide and few, where bf16 is fast.
                for name, parameters in (
                    ("last layers", self._out(best, self._ops[-LAST_LAYERS:])),
                    ("all that is not int8", self._out(best, self._ops)),
                ):
                    trial = yield self._precise(name, best.assignments, parameters, _bf16)
                    if _improves(trial, best):
                        best = trial

    def _out(self, trial: TrialRecord, parameters: Sequence[Parameter]) -> list[Parameter]:
        return [p for p in parameters if trial.assignments[p.name] != self._default_value(p)]

    def _default_value(self, parameter: Parameter) -> str:
        return self._space.default[parameter.name]

    def _precise(
        self,
        what: str,
        base: Mapping[str, str],
        parameters: Sequence[Parameter],
        wanted: Callable[[Parameter], str | None],
    ) -> Suggestion:
        """``base`` with parameters at a floating-point type, named after the types they take."""
        chosen = {p.name: wanted(p) or self._default_value(p) for p in parameters}
        types = "/".join(sorted(set(chosen.values())))
        return f"{what} in {types}", {**base, **chosen}

    @staticmethod
    def _with(
        base: Mapping[str, str], parameters: Sequence[Parameter], value: Callable[[Parameter], str]
    ) -> Assignments:
        return {**base, **{p.name: value(p) for p in parameters}}


def _fp32(parameter: Parameter) -> str | None:
    return "fp32" if "fp32" in parameter.values else None


def _bf16(parameter: Parameter) -> str | None:
    return "bf16" if "bf16" in parameter.values else _fp32(parameter)


def _improves(trial: TrialRecord, best: TrialRecord) -> bool:
    return bool(trial.meets_bound) and _latency(trial) < _latency(best)


def _latency(trial: TrialRecord) -> float:
    return trial.latency_seconds or 0.0


def _split(indices: Sequence[int], parts: int) -> list[list[int]]:
    """Contiguous runs of nearly equal length; fewer where there are fewer indices than parts."""
    bounds = [round(i * len(indices) / parts) for i in range(parts + 1)]
    runs = [list(indices[a:b]) for a, b in itertools.pairwise(bounds)]
    return [run for run in runs if run]


def _middle_first(segments: list[list[int]]) -> list[list[int]]:
    centre = (len(segments) - 1) / 2
    order = sorted(range(len(segments)), key=lambda i: abs(i - centre))
    return [segments[i] for i in order]
