"""int8 tensors turned into bf16 at once, where what reads them wants bf16."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from nc_sigopt_strategy.backends.finishing.editable_graph import (
    BFLOAT16,
    FLOAT32,
    EditableGraph,
    attribute,
    is_cast,
)

_EIGHT_BITS = (tf.qint8.as_datatype_enum, tf.quint8.as_datatype_enum)
# The third mode, MIN_FIRST, has no bf16 in oneDNN's kernel.
_MODES = (b"MIN_COMBINED", b"SCALED")


def gives_bf16(node: Any) -> bool:
    """Whether a node is a ``Dequantize`` that could write bf16 instead of float32."""
    return (
        node.op == "Dequantize"
        and attribute(node, "T").type in _EIGHT_BITS
        # Where it does not say, the attribute's default holds.
        and attribute(node, "dtype").type in (0, FLOAT32)
        and attribute(node, "mode").s in (b"", *_MODES)
        and ("axis" not in node.attr or node.attr["axis"].i == -1)
    )


def dequantize_to_bf16(graph: EditableGraph) -> int:
    """Let ``Dequantize`` write what a ``Cast`` behind it makes of it.

    Where others read float32, it stays for them and a second one writes bf16: to read 8 bits
    twice is less than to write 32 and read them again. The values are equal: both round the same
    float32 number.

    Args:
        graph: Changed in place. Names and types of its outputs stay.

    Returns:
        How many Casts it made needless.
    """
    readers = graph.readers()
    moved: dict[str, str] = {}
    for node in list(graph.nodes.values()):
        if not gives_bf16(node):
            continue
        reading = readers.get(node.name, [])
        casts = [name for name in reading if is_cast(graph.nodes[name], FLOAT32, BFLOAT16)]
        if not casts:
            continue
        every = len(casts) == len(reading) and node.name not in graph.outputs
        writer = node if every else graph.add_copy(node.name, f"{node.name}/bf16")
        writer.attr["dtype"].type = BFLOAT16
        moved.update(dict.fromkeys(casts, writer.name))
    graph.redirect(moved)
    graph.remove_unread(moved)
    return len(moved)
