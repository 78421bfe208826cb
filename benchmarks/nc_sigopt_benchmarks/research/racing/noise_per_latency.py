"""A greedy competitor: out of int8 goes the op with the most noise removed per latency added.

Both are estimated from trials of the default with that op alone out of int8, which count as
trials. It is the cost-benefit order of greedy knapsack algorithms (Dantzig, "Discrete-Variable
Extremum Problems", 1957) with a sensitivity that is measured, as in mixed-precision methods that
rank layers by it (Dong et al., "HAWQ", 2019, section 3).
"""

from __future__ import annotations

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.racing.op_values import OpValues
from nc_sigopt_benchmarks.research.racing.planned import Plan
from nc_sigopt_strategy.sampling.asking import derived_seed

# Of the budget, at most this share goes into measuring ops alone; the others come last.
MEASURING_SHARE = 0.6
# A latency gain below this share of the default's latency is taken for an error of measurement.
LEAST_LATENCY = 0.002


def noise_per_latency_plan(landscape: Landscape, seed: int, trials: int) -> Plan:
    """Ops alone in random order, then together, best ratio first; then back while the bound holds.

    Every op leaves int8 for the type with which the whole model was faster, bf16 or fp32.

    Args:
        landscape: What is searched.
        seed: Of the order in which ops are measured.
        trials: The budget.
    """
    values = OpValues(landscape)
    ops = list(values.quantized())
    default = yield values.default
    wholes = []
    for label in ("bf16", "fp32"):
        if any(values.position(op, label) is not None for op in ops):
            wholes.append(((yield values.with_label(values.default, ops, label)), label))
    if not wholes:
        return
    dtype = min(wholes, key=lambda whole: whole[0].look.latency)[1]
    ops = [op for op in ops if values.position(op, dtype) is not None]
    rng = np.random.default_rng(derived_seed(landscape.name, seed, "noise per latency"))
    ratio = dict.fromkeys(ops, 0.0)
    for op in rng.permutation(ops)[: int(MEASURING_SHARE * trials)].tolist():
        alone = yield values.with_label(values.default, [op], dtype)
        added = alone.look.latency - default.look.latency
        removed = default.look.output_noise - alone.look.output_noise
        ratio[op] = removed / max(added, LEAST_LATENCY * default.look.latency)
    order = sorted(ops, key=lambda op: -ratio[op])
    out: list[int] = []
    last = default
    for op in order:
        if last.meets_bound:
            break
        out.append(op)
        last = yield values.with_label(values.default, out, dtype)
    for op in reversed(out.copy()):
        fewer = [other for other in out if other != op]
        trial = yield values.with_label(values.default, fewer, dtype)
        if trial.meets_bound:
            out = fewer
