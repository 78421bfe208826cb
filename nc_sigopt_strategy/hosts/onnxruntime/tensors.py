"""Types and shapes of a model's tensors, asked of ONNX Runtime itself.

ONNX infers neither for ops of ONNX Runtime's own, nor shapes behind computed sizes, as exporters
write them for dynamic inputs. A session knows the types, and one run on real data tells the
shapes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.backends.onnx_augmented import open_augmented
from nc_sigopt_strategy.backends.onnx_graph import inferred_shapes
from nc_sigopt_strategy.backends.op_graph import Shape

logger = logging.getLogger("nc_sigopt_strategy")

_FLOAT = onnx.TensorProto.FLOAT


def float_tensors(model: Any) -> frozenset[str]:
    """Tensors of type float32 that are computed or fed in the outermost graph."""
    types = _inferred_types(model)
    made = [tensor for node in model.graph.node for tensor in node.output if tensor]
    unknown = [tensor for tensor in made if tensor not in types]
    if unknown:
        types.update(_types_of_session(model, unknown))
    fed = {given.name for given in model.graph.input}
    constant = {tensor.name for tensor in model.graph.initializer}
    return frozenset(
        tensor
        for tensor in (*fed, *made)
        if types.get(tensor) == _FLOAT and tensor not in constant
    )


def measured_shapes(
    model: Any, floats: frozenset[str], batch: Mapping[str, Array] | None, length: int
) -> dict[str, Shape]:
    """Tensor to its shape, with ``None`` for the axis that holds the batch.

    Args:
        model: A ``ModelProto``.
        floats: The tensors that are looked at.
        batch: Inputs by name, which are run; ``None``: shapes are inferred.
        length: How many inputs are in the batch.
    """
    shapes: dict[str, Shape] = {
        tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer
    }
    if batch is not None:
        try:
            found = _run_for_shapes(model, sorted(floats), batch)
            shapes.update({name: _for_one(shape, length) for name, shape in found.items()})
            return shapes
        except Exception as error:  # sizes only help a sampler: a run does without them
            logger.debug("No measured shapes: %s", error)
    try:
        return inferred_shapes(model)
    except Exception as error:
        logger.debug("No inferred shapes: %s", error)
        return shapes


def _for_one(shape: tuple[int, ...], length: int) -> Shape:
    return (None, *shape[1:]) if shape and shape[0] == length else shape


def _run_for_shapes(
    model: Any, tensors: list[str], batch: Mapping[str, Array]
) -> dict[str, tuple[int, ...]]:
    nodes = [
        onnx.helper.make_node("Shape", [name], [f"nc_sigopt/shape/{position}"])
        for position, name in enumerate(tensors)
    ]
    outputs = [node.output[0] for node in nodes]
    session = open_augmented(model, outputs, nodes[::-1])
    found = session.run(outputs, dict(batch))
    return {
        name: tuple(int(size) for size in np.asarray(shape))
        for name, shape in zip(tensors, found, strict=True)
    }


def _inferred_types(model: Any) -> dict[str, int]:
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception as error:  # a model of 2 GiB, or one that is not quite by the rules
        logger.debug("Types are not inferred: %s", error)
        graph = model.graph
    return {
        info.name: info.type.tensor_type.elem_type
        for info in (*graph.value_info, *graph.input, *graph.output)
        if info.type.WhichOneof("value") == "tensor_type" and info.type.tensor_type.elem_type
    }


def _types_of_session(model: Any, tensors: list[str]) -> dict[str, int]:
    try:
        session = open_augmented(model, tensors)
    except Exception as error:  # what has no type is not quantized
        logger.debug("Types are not known: %s", error)
        return {}
    types = {made.name: made.type for made in session.get_outputs()}
    return {name: _FLOAT for name in tensors if types.get(name) == "tensor(float)"}
