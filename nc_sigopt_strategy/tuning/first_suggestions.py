"""The first suggestions: configurations of known worth, before the sampler has anything to go by.

The default int8 model is nearly always the fastest there is. If it misses the bound, the all-fp32
and all-bf16 models bracket the answer from the other side, and the last layers, which hurt most
(Nagel et al., "A White Paper on Neural Network Quantization", 2021, section 2), are worth a try.
The four also tell a sampler how much the types cost in all. Where probes have told that, and which
ops hurt, the default is all that is left to learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.space.assignments import AssignmentsKey, assignments_key
from nc_sigopt_strategy.space.search_space import Assignments, Parameter

LAST_LAYERS = 3

Suggestion = tuple[str, Assignments]


class InitialSuggestions:
    """Which configuration comes next, as a function of what was observed and probed.

    So a run that is continued by another process goes on where it was.

    Args:
        parameters: The search space's, in graph order.
        default: Assignments of the default int8 configuration.
        whole_front: Whether all are wanted although the default meets the bound, because slow and
            accurate models count as well.
        native_float: See ``Backend``. That model costs a user nothing, so it is tried even where
            the default meets the bound.
        probed: As the attribute, to begin with.

    Attributes:
        probed: Whether the noise of single ops and the latencies of the types are known already.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        default: Mapping[str, str],
        *,
        whole_front: bool = False,
        native_float: str = "fp32",
        probed: bool = False,
    ) -> None:
        self._default = dict(default)
        self._whole_front = whole_front
        self.probed = probed
        self._ops = [p for p in parameters if p.ops]
        self._runs_in_bf16 = native_float == "bf16" and any("bf16" in p.values for p in self._ops)

    def next(self, observed: Mapping[AssignmentsKey, TrialRecord]) -> Suggestion | None:
        """Name and assignments to try next, or ``None`` when it is the sampler's turn.

        Args:
            observed: All trials of the experiment, failed ones included.
        """
        default = observed.get(assignments_key(self._default))
        enough = not self._whole_front and default is not None and default.meets_bound
        for needed_only_below_the_bound, suggestion in self._plan():
            if needed_only_below_the_bound and enough:
                return None
            if assignments_key(suggestion[1]) not in observed:
                return suggestion
        return None

    def _plan(self) -> Iterator[tuple[bool, Suggestion]]:
        yield False, ("default int8", dict(self._default))
        if not self.probed:
            yield False, self._precise("last layers", self._ops[-LAST_LAYERS:], _bf16)
        if self._runs_in_bf16:
            yield False, self._precise("all ops", self._ops, _bf16)
        if self.probed and not self._whole_front:
            return
        yield True, self._precise("all ops", self._ops, _fp32)
        yield True, self._precise("all ops", self._ops, _bf16)

    def _precise(
        self,
        what: str,
        parameters: Sequence[Parameter],
        wanted: Callable[[Parameter], str | None],
    ) -> Suggestion:
        """The default with parameters at a floating-point type, named after those types."""
        chosen = {p.name: wanted(p) or self._default[p.name] for p in parameters}
        types = "/".join(sorted(set(chosen.values())))
        return f"{what} in {types}", {**self._default, **chosen}


def _fp32(parameter: Parameter) -> str | None:
    return "fp32" if "fp32" in parameter.values else None


def _bf16(parameter: Parameter) -> str | None:
    return "bf16" if "bf16" in parameter.values else _fp32(parameter)
