"""What a TensorFlow graph may not hold, and what it has to, when INC gets it."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import Any

from nc_sigopt_strategy.errors import ModelError, in_one_line

# As INC itself and TensorFlow's own quantizer write them.
_QUANTIZED = ("Quantized", "_Quantized", "Quantize", "Dequantize", "Requantize", "UniformQuantize")


def graph_of(model: Any) -> Any:
    """The ``GraphDef`` of one of INC's model objects, which reads its file for it.

    Args:
        model: Has ``graph_def``.

    Raises:
        ModelError: TensorFlow or INC cannot make a graph of constants of it.
    """
    try:
        return model.graph_def
    except Exception as error:  # each step of reading and freezing fails in a way of its own
        raise ModelError(
            f"Neural Compressor cannot make a graph of constants of the model: "
            f"{in_one_line(error)}",
            "It has to compute its outputs from its inputs alone. What changes variables, as "
            "layers that draw random numbers in training do, is left out with training=False "
            "when the model is exported.",
        ) from error


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
