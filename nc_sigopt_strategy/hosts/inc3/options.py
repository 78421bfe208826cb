"""What Neural Compressor offers for each op of a TensorFlow graph, as labels, and back.

A label is the same word as in the host ``inc``, whose int8 variants differ in the same things.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.space.ops import PRECISIONS, Choices, Op, OpKey, least_precise_first

_INT8 = "int8"
# What an int8 op can differ in: part and item of Neural Compressor's capability. It drops the
# others when it translates a configuration (`TensorFlowAdaptor._tuning_cfg_to_fw`, 3.8 and 3.10).
_VARIED = (("activation", "algorithm"), ("activation", "scheme"), ("weight", "granularity"))

# Arguments of `StaticQuantConfig` by name.
Arguments = Mapping[str, Any]


class Options:
    """The ways in which each op of a model can run.

    Args:
        capability: Op to what Neural Compressor says of it: a list of alternatives, the quantized
            one first, each a mapping of ``activation`` and ``weight``.
        graph_order: Op name to position in the graph, from the input on.

    Attributes:
        ops: The quantizable ops in graph order.
    """

    def __init__(
        self, capability: Mapping[OpKey, Sequence[Any]], graph_order: Mapping[str, int]
    ) -> None:
        # What has no int8 has no scheme; `StaticQuantConfig` does not reach such ops.
        quantizable = [
            key for key, ways in capability.items() if "scheme" in ways[0]["activation"]
        ]
        quantizable.sort(key=lambda key: (graph_order.get(key[0], len(graph_order)), key))
        self._arguments = {key: _arguments_of(capability[key]) for key in quantizable}
        self.ops = tuple(
            Op(key, least_precise_first({label: _type(label) for label in labels}), _INT8)
            for key, labels in self._arguments.items()
        )

    def quant_config(self, choices: Choices) -> dict[str, Any]:
        """Choices as what ``StaticQuantConfig.from_dict`` takes.

        Its keys for ops are patterns that match one name each, because Neural Compressor matches
        them from the start of a name on and not to its end. What no pattern matches stays fp32.
        """
        return {
            "global": _float_arguments("fp32"),
            "local": {
                rf"{re.escape(key[0])}\Z": dict(self._arguments[key][label])
                for key, label in choices.labels.items()
            },
        }


def _arguments_of(ways: Sequence[Any]) -> dict[str, Arguments]:
    """Label to arguments of all distinct ways in which an op can run, the default one first."""
    found: dict[str, Arguments] = {}
    quantized, *others = ways
    items = [
        (part, item, quantized[part][item])
        for part, item in _VARIED
        if part in quantized and item in quantized[part]
    ]
    for values in itertools.product(*(options for _, _, options in items)):
        words = [_INT8]
        chosen = {}
        for (part, item, options), value in zip(items, values, strict=True):
            chosen[part, item] = value
            if value != options[0]:
                words.append(str(value).replace("_", "-"))
        found["-".join(words)] = _int8_arguments(quantized, chosen)
    for other in others:
        dtype = other["activation"]["dtype"]
        found[dtype] = _float_arguments(dtype)
    return found


def _int8_arguments(quantized: Any, chosen: Mapping[tuple[str, str], str]) -> Arguments:
    return {
        "act_dtype": quantized["activation"]["dtype"][0],
        "act_sym": chosen["activation", "scheme"] == "sym",
        "act_algorithm": chosen["activation", "algorithm"],
        "weight_dtype": _INT8,
        "weight_granularity": chosen.get(("weight", "granularity"), "per_tensor"),
    }


def _float_arguments(dtype: str) -> dict[str, Any]:
    return {"act_dtype": dtype, "weight_dtype": dtype}


def _type(label: str) -> str:
    return label if label in PRECISIONS else _INT8
