"""Neural Compressor's ``basic`` as a competitor.

What is followed (``strategy/basic.py``, ``next_tune_cfg``; ``strategy/utils/tuning_sampler.py``;
INC 2.6 to 3.7): every combination of int8 variants by op type; then, for bf16, fp16 and fp32 in
turn and from the best of those, each op alone out of int8, from the last to the first; then the
ops out of int8 together, one more each time, in the order of the accuracy that each gave alone.

What is not: recipes (SmoothQuant and the like), dynamic quantization, lower bits and blocks, none
of which a landscape has. A configuration that ``basic`` would measure a second time costs nothing
here, and it goes on after the bound is met, as INC does when it is given a time limit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.racing.op_values import FLOATING, OpValues
from nc_sigopt_benchmarks.research.racing.planned import Plan
from nc_sigopt_benchmarks.research.racing.trial import Trial


def basic_plan(landscape: Landscape) -> Plan:
    """The configurations of ``basic``, in its order."""
    values = OpValues(landscape)
    best = yield values.default
    for choice in type_wise(values):
        best = better(best, (yield choice))
    for dtype in FLOATING:
        ops = [op for op in values.quantized() if values.position(op, dtype) is not None]
        alone: list[tuple[float, int]] = []
        for op in reversed(ops):
            trial = yield values.with_label(best.choice, [op], dtype)
            alone.append((trial.look.accuracy, op))
        # Stable, as INC's: of two equally good ones the later op goes first.
        order = [op for _, op in sorted(alone, key=lambda entry: -entry[0])]
        for count in range(2, len(order) + 1):
            yield values.with_label(best.choice, order[:count], dtype)


def type_wise(values: OpValues) -> Iterator[Choices]:
    """Combinations of int8 variants, one variant per op type; the last type changes fastest."""
    variants: dict[str, dict[str, None]] = {}
    for op in values.quantized():
        labels = dict.fromkeys(values.int8_labels(op))
        variants.setdefault(values.op_types[op], {}).update(labels)
    for labels_of_types in itertools.product(*variants.values()):
        choice = values.default
        for op_type, label in zip(variants, labels_of_types, strict=True):
            ops = [op for op in values.quantized() if values.op_types[op] == op_type]
            choice = values.with_label(values.back(choice, ops), ops, label)
        yield choice


def better(first: Trial, second: Trial) -> Trial:
    """INC's comparison: the bound first, then latency; below the bound, accuracy."""
    if first.meets_bound != second.meets_bound:
        return first if first.meets_bound else second
    if first.meets_bound:
        return second if second.look.latency < first.look.latency else first
    return second if second.look.accuracy > first.look.accuracy else first
