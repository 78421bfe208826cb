"""A landscape that is small enough to be read, for the tests of races."""

from __future__ import annotations

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import (
    Choices,
    Landscape,
    MeasurementError,
    Values,
)

OPS = 3
VALUES = ("int8", "bf16", "fp32")
# By value: an op in int8 takes 1 ms, in bf16 2 ms, in fp32 4 ms.
LATENCIES = np.array([1.0, 2.0, 4.0])
# Accuracy that each op costs in int8.
COSTS = np.array([0.10, 0.004, 0.002])
BASELINE, BOUND = 0.9, 0.891


def small_landscape(error: float = 0.0, *, bound: float = BOUND) -> Landscape:
    """Three ops; the first costs too much accuracy in int8, the other two together just fit."""

    def latency(choices: Choices) -> Values:
        result: Values = LATENCIES[choices].sum(axis=1)
        return result

    def drop(choices: Choices) -> Values:
        result: Values = ((choices == 0) * COSTS).sum(axis=1)
        return result

    return Landscape(
        name="small",
        family="small",
        assumptions_hold=True,
        parameters={f"op{op}": VALUES for op in range(OPS)},
        op_graph={
            "parameters": [{"name": f"op{op}", "op_type": "conv2d"} for op in range(OPS)],
            "edges": [["op0", "op1", 10.0], ["op1", "op2", 10.0]],
        },
        default=np.zeros(OPS, np.int64),
        latency=latency,
        output_noise=drop,
        accuracy=lambda choices: BASELINE - drop(choices),
        baseline_accuracy=BASELINE,
        bound=bound,
        images=100_000_000,
        error=MeasurementError(latency=error, output_noise=0.0),
        optimum=np.array([1, 0, 0]),
    )
