"""TensorFlow graphs that compute in float16 or bfloat16, as the float32 graphs that INC reads.

Keras' mixed precision leaves such graphs: float32 weights are cast, products are computed in half
precision. INC (2.6 to 3.7.1) takes every product for one of float32 and makes a graph of it that
TensorFlow refuses. Which op may compute in bfloat16 is what tuning is to find out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.backends.tensorflow_reads import node_of
from nc_sigopt_strategy.errors import ModelError, in_one_line

_HALF = frozenset({tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum})
_FLOAT = tf.float32.as_datatype_enum
_FED = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")
_BEHIND = "/widened_by_nc_sigopt"


def widen(graph_def: Any, outputs: Iterable[str] = ()) -> tuple[Any, str | None]:
    """A graph whose half-precision ops compute in float32; its inputs keep their types.

    Args:
        graph_def: A ``GraphDef``; it is not changed.
        outputs: Names of the model's output nodes, which become float32, too.

    Returns:
        A new ``GraphDef``, and what the user is told; the given one and ``None`` where nothing is
        in half precision.

    Raises:
        ModelError: TensorFlow does not take the graph with float32 in place of the other type.
    """
    nodes = [*graph_def.node, *_nodes_of_functions(graph_def)]
    narrow = sum(_is_half(node) for node in nodes if node.op != "Const")
    if not narrow and not any(map(_is_half, nodes)):
        return graph_def, None
    wide = tf.compat.v1.GraphDef()
    wide.CopyFrom(graph_def)
    fed = {node.name for node in wide.node if node.op in _FED and _is_half(node)}
    for node in [*wide.node, *_nodes_of_functions(wide)]:
        if node.name not in fed:
            _widen_node(node)
    for function in wide.library.function:
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            argument.type = _wider(argument.type)
    _cast_what_is_fed(wide, fed.difference(outputs))
    try:
        with tf.Graph().as_default():
            tf.import_graph_def(wide, name="")
    except Exception as error:
        raise ModelError(
            "The model computes in float16 or bfloat16, of which Neural Compressor can make "
            f"nothing, and in float32 TensorFlow does not take it: {in_one_line(error)}",
            "Give the model in float32.",
        ) from error
    return wide, (
        f"{narrow} ops of the model that was given compute in float16 or bfloat16; it is tuned in "
        "float32, which is what FP32 means here."
    )


def widen_in_model(model: Any) -> tuple[str, ...]:
    """Widen the graph of one of INC's model objects; what the user is told of it.

    Args:
        model: Has ``graph_def``, which is replaced, and ``output_node_names``.
    """
    given = model.graph_def
    wide, note = widen(given, model.output_node_names)
    if wide is not given:
        model.graph_def = wide
    return () if note is None else (note,)


def _nodes_of_functions(graph_def: Any) -> list[Any]:
    return [node for function in graph_def.library.function for node in function.node_def]


def _is_half(node: Any) -> bool:
    return any(
        value.type in _HALF or not _HALF.isdisjoint(value.list.type)
        for value in node.attr.values()
    )


def _widen_node(node: Any) -> None:
    if node.op == "Cast" and _wider(node.attr["SrcT"].type) == _wider(node.attr["DstT"].type):
        if _is_half(node):
            node.op = "Identity"
            node.attr.clear()
            node.attr["T"].type = _FLOAT
        return
    for value in node.attr.values():
        _widen_value(value)


def _widen_value(value: Any) -> None:
    kind = value.WhichOneof("value")
    if kind == "type":
        value.type = _wider(value.type)
    elif kind == "tensor" and value.tensor.dtype in _HALF:
        wide = np.asarray(tf.make_ndarray(value.tensor)).astype(np.float32)
        value.tensor.CopyFrom(tf.make_tensor_proto(wide))
    elif kind == "list":
        for position, known in enumerate(value.list.type):
            value.list.type[position] = _wider(known)
    elif kind == "func":
        for inner in value.func.attr.values():
            _widen_value(inner)


def _cast_what_is_fed(graph_def: Any, fed: Iterable[str]) -> None:
    names = set(fed)
    for node in graph_def.node:
        for position, read in enumerate(node.input):
            if not read.startswith("^") and node_of(read) in names:
                node.input[position] = f"{node_of(read)}{_BEHIND}"
    for name in sorted(names):
        source = next(node for node in graph_def.node if node.name == name)
        cast = graph_def.node.add(op="Cast", name=f"{name}{_BEHIND}", input=[name])
        cast.attr["SrcT"].type = source.attr["dtype"].type
        cast.attr["DstT"].type = _FLOAT


def _wider(enum: int) -> int:
    return _FLOAT if enum in _HALF else enum
