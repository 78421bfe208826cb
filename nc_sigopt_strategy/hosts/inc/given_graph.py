"""What a TensorFlow graph may not hold already when INC gets it."""

from __future__ import annotations

import collections
from typing import Any

from nc_sigopt_strategy.errors import ModelError

# As INC itself and TensorFlow's own quantizer write them.
_QUANTIZED = ("Quantized", "_Quantized", "Quantize", "Dequantize", "Requantize", "UniformQuantize")


def refuse_quantized_graph(graph_def: Any) -> None:
    """Refuse a graph that holds quantized ops.

    Raises:
        ModelError: It does; the message counts them.
    """
    functions = [node for function in graph_def.library.function for node in function.node_def]
    found = collections.Counter(
        node.op for node in (*graph_def.node, *functions) if node.op.startswith(_QUANTIZED)
    )
    if found:
        most = ", ".join(f"{count} {op}" for op, count in found.most_common(5))
        raise ModelError(
            f"This model is quantized already: {sum(found.values())} quantized nodes ({most}).",
            "Give the FP32 model that it was made from.",
        )
