"""Neural Compressor's ``mse_v2`` as a competitor.

What is followed (``strategy/mse_v2.py``, ``next_tune_cfg``; INC 2.6 to 3.7): at most two
combinations of int8 variants; then, for bf16, fp16 and fp32 in turn, the most sensitive op leaves
int8, one more each time, until the bound is met; then the least sensitive of those goes back to
int8, one more each time, as long as the bound is met. Then it is through, whatever budget is left.

The real one measures an op's sensitivity as the mean squared error of the model's outputs on two
batches, not as accuracy and not counted as trials. Here it is the true output noise of the op
alone in int8, everything else at its most precise value, times a lognormal error of ``ERROR``.
The order is drawn once; the real one measures again after each step.
"""

from __future__ import annotations

import itertools

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape, Values
from nc_sigopt_benchmarks.research.racing.basic_fallback import better, type_wise
from nc_sigopt_benchmarks.research.racing.op_values import FLOATING, OpValues
from nc_sigopt_benchmarks.research.racing.planned import Plan
from nc_sigopt_strategy.sampling.asking import derived_seed

ERROR = 0.5  # standard deviation of the log
TYPE_WISE = 2


def mse_v2_plan(landscape: Landscape, seed: int) -> Plan:
    """The configurations of ``mse_v2``, in its order.

    Args:
        landscape: What is searched; its true output noise is looked at.
        seed: Of the error of the sensitivities.
    """
    values = OpValues(landscape)
    sensitivity = _sensitivities(landscape, values, seed)
    best = yield values.default
    for choice in itertools.islice(type_wise(values), TYPE_WISE):
        best = better(best, (yield choice))
    last, out = best, list[int]()
    for dtype in FLOATING:
        if last.meets_bound:
            break
        out, choice = [], best.choice
        ops = [op for op in values.quantized() if values.position(op, dtype) is not None]
        for op in sorted(ops, key=lambda op: -sensitivity[op]):
            out.append(op)
            choice = values.with_label(choice, [op], dtype)
            last = yield choice
            if last.meets_bound:
                break
    choice = last.choice
    for op in sorted(out, key=lambda op: sensitivity[op])[:-1]:
        if not last.meets_bound:
            return
        choice = choice.copy()
        choice[op] = best.choice[op]
        last = yield choice


def _sensitivities(landscape: Landscape, values: OpValues, seed: int) -> Values:
    """Output noise of each op alone in int8, shape (parameters,)."""
    precise = np.array([len(labels) - 1 for labels in landscape.parameters.values()])
    alone = np.tile(precise, (len(precise), 1))
    np.fill_diagonal(alone, landscape.default)
    rng = np.random.default_rng(derived_seed(landscape.name, seed, "mse_v2"))
    noise = landscape.output_noise(alone)
    result: Values = noise * np.exp(rng.normal(0.0, ERROR, len(noise)))
    return result
