"""TensorFlow: convolutions that are added to their own input are kept from int8.

Neural Compressor has a convolution with a bias do the residual sum behind it. Where the summand is
the convolution's own input, as in ``relu(x + conv(x))``, that int8 kernel reads what it writes and
ends the process with a segmentation fault (TensorFlow 2.18 with oneDNN, Neural Compressor's own
models), which nothing can catch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.backends.tensorflow_reads import origin_of, readers_of
from nc_sigopt_strategy.space.ops import OpKey

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative", "Conv3D")
_SUMS = ("Add", "AddV2", "AddN")
_IDENTITY, _BIAS = "Identity", "BiasAdd"
_NAMED = 3
_INT8 = frozenset({"int8", "uint8"})


def without_int8_of_own_sums(
    by_op: Mapping[OpKey, Sequence[Any]], graph_def: Any
) -> tuple[dict[OpKey, list[Any]], tuple[str, ...]]:
    """What ops can be, less int8 where it would end the process.

    Args:
        by_op: Op to its alternatives, as Neural Compressor's capability lists them.
        graph_def: The optimized FP32 graph, whose nodes are the ops.

    Returns:
        The same with fewer alternatives, and what the user is told of it.
    """
    summed = convolutions_added_to_their_input(graph_def)
    found = {key: list(ways) for key, ways in by_op.items()}
    lost = []
    for key, ways in found.items():
        floating = [way for way in ways if not _is_int8(way)] if key[0] in summed else ways
        if floating and len(floating) < len(ways):
            found[key] = floating
            lost.append(key[0])
    return found, _in_words(lost)


def convolutions_added_to_their_input(graph_def: Any) -> frozenset[str]:
    """Names of convolutions that are summed, with or without a bias, with what they read."""
    nodes = {node.name: node for node in graph_def.node}
    readers, found = readers_of(graph_def), set()
    for node in graph_def.node:
        if node.op in _CONVOLUTIONS:
            own = origin_of(node.input[0], nodes)
            sums = _sums_behind(node, readers, nodes)
            if any(origin_of(read, nodes) == own for reader in sums for read in reader.input):
                found.add(node.name)
    return frozenset(found)


def _in_words(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    some = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return (
        f"{len(names)} convolutions that are added to their own input are kept from int8, which "
        f"would end the process: {some}.",
    )


def _sums_behind(node: Any, readers: Mapping[str, list[Any]], nodes: Any) -> list[Any]:
    """The sums of more than constants that read a convolution, behind a bias and identities."""
    found: list[Any] = []
    open_nodes = [node]
    while open_nodes:
        for reader in readers[open_nodes.pop().name]:
            if reader.op in (_IDENTITY, _BIAS):
                open_nodes.append(reader)
            elif reader.op in _SUMS:
                adds_constant = any(_is_constant(read, nodes) for read in reader.input)
                (open_nodes if adds_constant else found).append(reader)
    return found


def _is_constant(read: str, nodes: Any) -> bool:
    behind = nodes.get(origin_of(read, nodes))
    return behind is not None and behind.op == "Const"


def _is_int8(way: Any) -> bool:
    """Whether an alternative computes in integers."""
    dtype = way.get("activation", {}).get("dtype")
    return not _INT8.isdisjoint([dtype] if isinstance(dtype, str) else dtype or ())
