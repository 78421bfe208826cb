"""The ways in which a group can run, as labels."""

from __future__ import annotations

from collections.abc import Iterable

from nc_sigopt_strategy.hosts.onnxruntime.grouping import Group
from nc_sigopt_strategy.hosts.onnxruntime.plan import INT8, NEAREST, PER_TENSOR
from nc_sigopt_strategy.hosts.onnxruntime.range_methods import ENTROPY, MSE, PERCENTILE
from nc_sigopt_strategy.space.ops import Op

FP32 = "fp32"
_VARIANTS = (PERCENTILE, ENTROPY, MSE)


def ops_of(groups: Iterable[Group]) -> list[Op]:
    """Each group as an op with its labels, int8 first.

    A product of two activations is float by default: on a CPU of today int8 makes it no faster
    (measured on attention: 2.07 with and 2.15 without, float = 1), and it costs accuracy.
    """
    return [Op(group.key, _labels(group), INT8 if group.weights else FP32) for group in groups]


def _labels(group: Group) -> tuple[str, ...]:
    variants = [f"{INT8}-{variant}" for variant in _VARIANTS]
    if set(group.weights) - set(group.per_tensor_only):
        variants += [f"{INT8}-{NEAREST}", f"{INT8}-{PER_TENSOR}"]
    return (INT8, *variants, FP32)
