"""The first suggestions: configurations of known worth instead of random ones.

They bracket the answer before any sampler has data. The default int8 model is the fastest there
is, the all-fp32 and all-bf16 ones the most accurate. Between them lie the classic fallbacks: the
first and the last layers are where quantization hurts most (Nagel et al., "A White Paper on
Neural Network Quantization", 2021, section 2), so both ends of the graph are taken out of int8,
in growing shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .search_space import Assignments, Parameter, SearchSpace

LAST_LAYERS = 3


def initial_suggestions(space: SearchSpace) -> Iterator[tuple[str, Assignments]]:
    """Names and assignments, in the order to try them, without repeats.

    Args:
        space: The search space; its parameters are in graph order.
    """
    seen = set()
    for name, assignments in _candidates(space):
        key = tuple(sorted(assignments.items()))
        if key not in seen:
            seen.add(key)
            yield name, assignments


def _candidates(space: SearchSpace) -> Iterator[tuple[str, Assignments]]:
    ops = [p for p in space.parameters if p.ops]
    last = ops[-LAST_LAYERS:]
    yield "default int8", dict(space.default)
    yield "all ops in fp32", _with(space, ops, _most_precise)
    yield "last layers in bf16", _with(space, last, _bf16)
    yield "first and last layers in bf16", _with(space, [*ops[:1], *last], _bf16)
    quarter, half = len(ops) // 4, len(ops) // 2
    yield (
        "first quarter and last layers in fp32",
        _with(space, [*ops[:quarter], *last], _most_precise),
    )
    yield "first half and last layers in fp32", _with(space, [*ops[:half], *last], _most_precise)
    yield "all ops in bf16", _with(space, ops, _bf16)


def _most_precise(parameter: Parameter) -> str:
    return parameter.values[-1]


def _bf16(parameter: Parameter) -> str:
    return "bf16" if "bf16" in parameter.values else parameter.values[-1]


def _with(
    space: SearchSpace, parameters: list[Parameter], value: Callable[[Parameter], str]
) -> Assignments:
    return {**space.default, **{p.name: value(p) for p in parameters}}
