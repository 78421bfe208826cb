"""A float32 copy of an ONNX model in float16 or bfloat16."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from nc_sigopt_strategy.backends.onnx_protos import (
    graphs_of,
    nodes_below,
    nodes_of,
    tensors_of,
    type_name,
)
from nc_sigopt_strategy.errors import ModelError

_FLOAT = onnx.TensorProto.FLOAT
_SHORT = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
# Attributes that hold an element type, of standard and of com.microsoft ops.
_TYPE_ATTRIBUTES = frozenset(
    {"to", "dtype", "output_dtype", "output_datatype", "stash_type", "softmax_precision"}
)


def short_types(model: Any) -> list[str]:
    """Which of float16 and bfloat16 the model computes in, the more frequent first."""
    found: collections.Counter[int] = collections.Counter(
        tensor.data_type for tensor in tensors_of(model) if tensor.data_type in _SHORT
    )
    for node in nodes_of(model):
        found.update(attribute.i for attribute in node.attribute if _holds_short_type(attribute))
    for value in (*model.graph.input, *model.graph.output):
        found.update(kind for kind in _SHORT if kind in _element_types(value.type))
    return [type_name(kind) for kind, _ in found.most_common()]


def in_float32(model: Any) -> Any:
    """A copy of the model that computes in float32 what it computes in 16 bits.

    Inputs and outputs keep the types that they have, so that whoever runs the one can run the
    other. Node names stay as they are.

    Raises:
        ModelError: An input or output is a sequence or map of 16-bit tensors.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in tensors_of(copy):
        if tensor.data_type in _SHORT:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for node in nodes_of(copy):
        for attribute in node.attribute:
            if _holds_short_type(attribute):
                attribute.i = _FLOAT
            if attribute.HasField("tp"):
                _lengthen(attribute.tp)
    ends = {
        value.name: value.type.tensor_type.elem_type
        for value in (*copy.graph.input, *copy.graph.output)
        if _is_short_end(value)
    }
    for graph in graphs_of(copy):
        outermost = graph is copy.graph
        kept = () if outermost else (*graph.input, *graph.output)
        for value in (*graph.value_info, *kept):
            if value.name not in ends:
                _lengthen(value.type)
    _cast_at_the_ends(copy, ends)
    return copy


def _cast_at_the_ends(model: Any, ends: Mapping[str, int]) -> None:
    graph = model.graph
    inside = {name: f"{name}/float32" for name in ends}
    # Local functions have names of their own.
    for node in nodes_below(graph.node):
        for tensors in (node.input, node.output):
            for position, name in enumerate(tensors):
                if name in inside:
                    tensors[position] = inside[name]
    for tensor in graph.initializer:
        tensor.name = inside.get(tensor.name, tensor.name)
    constant = {tensor.name for tensor in graph.initializer}
    first = [
        _cast(given.name, inside[given.name], _FLOAT)
        for given in graph.input
        if given.name in inside and inside[given.name] not in constant
    ]
    fed = {node.input[0] for node in first}
    last = [
        _cast(inside[made.name], made.name, ends[made.name])
        for made in graph.output
        if made.name in inside and made.name not in fed
    ]
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)


def _cast(source: str, target: str, elem_type: int) -> Any:
    return onnx.helper.make_node("Cast", [source], [target], f"{source}/cast", to=elem_type)


def _is_short_end(value: Any) -> bool:
    if not any(kind in _SHORT for kind in _element_types(value.type)):
        return False
    if value.type.WhichOneof("value") != "tensor_type":
        raise ModelError(
            f"{value.name!r} of the model is a {value.type.WhichOneof('value')} in 16 bits, which "
            "cannot be converted to float32.",
            "Export the model in float32.",
        )
    return True


def _holds_short_type(attribute: Any) -> bool:
    return (
        attribute.name in _TYPE_ATTRIBUTES
        and attribute.type == onnx.AttributeProto.INT
        and attribute.i in _SHORT
    )


def _element_types(type_proto: Any) -> list[int]:
    return [tensor.elem_type for tensor in _tensor_types(type_proto)]


def _lengthen(type_proto: Any) -> None:
    for tensor in _tensor_types(type_proto):
        if tensor.elem_type in _SHORT:
            tensor.elem_type = _FLOAT


def _tensor_types(type_proto: Any) -> list[Any]:
    """The tensors that a type is made of: itself, or what a sequence, map or optional holds."""
    kind = type_proto.WhichOneof("value")
    if kind is None:
        return []
    inner = getattr(type_proto, kind)
    if kind in ("tensor_type", "sparse_tensor_type"):
        return [inner]
    if kind == "map_type":
        return _tensor_types(inner.value_type)
    return _tensor_types(inner.elem_type) if kind in ("sequence_type", "optional_type") else []
