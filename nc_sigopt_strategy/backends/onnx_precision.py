"""A float32 copy of an ONNX model in another precision."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
_DOUBLE = onnx.TensorProto.DOUBLE
_WITH_WEIGHTS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
# Attributes that hold an element type, of standard and of com.microsoft ops.
_TYPE_ATTRIBUTES = frozenset(
    {"to", "dtype", "output_dtype", "output_datatype", "stash_type", "softmax_precision"}
)


def other_precisions(model: Any) -> tuple[int, ...]:
    """The element types that the model computes in and INC quantizes none of.

    float64 counts where convolutions or matrix multiplications have such weights: elsewhere INC
    leaves it alone, and it may be needed.
    """
    found = {tensor.data_type for tensor in tensors_of(model)}
    for node in nodes_of(model):
        found.update(attribute.i for attribute in node.attribute if _is_in(attribute, _SHORT))
    for value in (*model.graph.input, *model.graph.output):
        found.update(_element_types(value.type))
    return tuple(kind for kind in _SHORT if kind in found) + (
        (_DOUBLE,) if _has_double_weights(model) else ()
    )


def in_float32(model: Any, kinds: Collection[int]) -> Any:
    """A copy of the model that computes in float32 what it computes in other precisions.

    Inputs and outputs keep the types that they have, so that whoever runs the one can run the
    other. Node names stay as they are.

    Args:
        model: A ``ModelProto``.
        kinds: The element types that become float32.

    Raises:
        ModelError: An input or output is a sequence or map of such tensors.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in tensors_of(copy):
        if tensor.data_type in kinds:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for node in nodes_of(copy):
        for attribute in node.attribute:
            if _is_in(attribute, kinds):
                attribute.i = _FLOAT
            if attribute.HasField("tp"):
                _to_float32(attribute.tp, kinds)
    ends = {
        value.name: value.type.tensor_type.elem_type
        for value in (*copy.graph.input, *copy.graph.output)
        if _is_end_in(value, kinds)
    }
    for graph in graphs_of(copy):
        outermost = graph is copy.graph
        kept = () if outermost else (*graph.input, *graph.output)
        for value in (*graph.value_info, *kept):
            if value.name not in ends:
                _to_float32(value.type, kinds)
    _cast_at_the_ends(copy, ends)
    return copy


def _has_double_weights(model: Any) -> bool:
    double = {tensor.name for tensor in tensors_of(model) if tensor.data_type == _DOUBLE}
    double |= {
        node.output[0]
        for node in nodes_of(model)
        if node.op_type == "Constant" and any(a.t.data_type == _DOUBLE for a in node.attribute)
    }
    return any(
        name in double
        for node in nodes_of(model)
        if node.op_type in _WITH_WEIGHTS
        for name in node.input
    )


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


def _is_end_in(value: Any, kinds: Collection[int]) -> bool:
    if not any(kind in kinds for kind in _element_types(value.type)):
        return False
    holder = value.type.WhichOneof("value")
    if holder != "tensor_type":
        raise ModelError(
            f"{value.name!r} of the model is a {holder.split('_')[0]} of "
            f"{type_name(_element_types(value.type)[0])}, which cannot be converted to float32.",
            "Export the model in float32.",
        )
    return True


def _is_in(attribute: Any, kinds: Collection[int]) -> bool:
    return (
        attribute.name in _TYPE_ATTRIBUTES
        and attribute.type == onnx.AttributeProto.INT
        and attribute.i in kinds
    )


def _element_types(type_proto: Any) -> list[int]:
    return [tensor.elem_type for tensor in _tensor_types(type_proto)]


def _to_float32(type_proto: Any, kinds: Collection[int]) -> None:
    for tensor in _tensor_types(type_proto):
        if tensor.elem_type in kinds:
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
