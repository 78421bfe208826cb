"""What a TensorFlow graph may not hold, and what it has to, when INC gets it."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
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


def check_has_ops(nodes: Sequence[Any], names: Iterable[str], what: str) -> None:
    """Refuse names of ends that a graph does not have: INC would guess others.

    Args:
        nodes: Of the graph.
        names: Of ops or tensors.
        what: Names the model, as the subject of a sentence.

    Raises:
        ModelError: One is missing; the message names those that there are.
    """
    ops = {node.name for node in nodes}
    for name in names:
        if name.split(":")[0] not in ops:
            starts = ", ".join(node.name for node in nodes if node.op == "Placeholder")
            last = repr(nodes[-1].name) if nodes else "none"
            raise ModelError(
                f"{what} has no op {name!r}.",
                f"Its placeholders are {starts or 'none'} and its last op is {last}; correct "
                "--inputs or --outputs.",
            )
