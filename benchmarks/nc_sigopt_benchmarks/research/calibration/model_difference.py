"""How two quantized models differ, constant by constant and node by node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ModelDifference:
    """What two models do not share.

    Attributes:
        structure: Names of nodes, inputs and constants that only one has, or that have another op,
            other inputs, attributes, types or shapes in the other.
        bias_steps: Largest difference of two int32 constants.
        range_share: Largest relative difference of two float constants.
        other_constants: Names of constants of other types with other values.
    """

    structure: tuple[str, ...] = ()
    bias_steps: int = 0
    range_share: float = 0.0
    other_constants: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether there is no difference."""
        return self == ModelDifference()


@dataclass(frozen=True)
class PlainModel:
    """A model as plain data: its constants, and a text for each of its nodes."""

    constants: Mapping[str, Array]
    nodes: Mapping[str, str]


def plain_model(model: Any) -> PlainModel:
    """A quantized model of Neural Compressor's, TensorFlow or ONNX."""
    proto = getattr(model, "model", None)
    if hasattr(proto, "opset_import"):
        return _plain_onnx(proto)
    return _plain_tensorflow(model.graph_def)


def model_difference(one: PlainModel, other: PlainModel) -> ModelDifference:
    """Compare two models."""
    structure = [
        name
        for name in {**one.nodes, **other.nodes}
        if one.nodes.get(name) != other.nodes.get(name)
    ]
    bias_steps, range_share, others = 0, 0.0, []
    for name in {**one.constants, **other.constants}:
        a, b = one.constants.get(name), other.constants.get(name)
        if a is None or b is None or a.dtype != b.dtype or a.shape != b.shape:
            structure.append(name)
        elif np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            continue
        elif a.dtype == np.int32:
            steps = np.abs(a.astype(np.int64) - b.astype(np.int64)).max()
            bias_steps = max(bias_steps, int(steps))
        elif a.dtype == np.float32:
            size = np.maximum(np.abs(a), np.abs(b))
            shares = np.abs(a - b) / np.where(size > 0, size, 1)
            range_share = max(range_share, float(np.nan_to_num(shares, nan=np.inf).max()))
        else:
            others.append(name)
    return ModelDifference(tuple(structure), bias_steps, range_share, tuple(others))


def _plain_tensorflow(graph_def: Any) -> PlainModel:
    from tensorflow import make_ndarray

    constants, nodes = {}, {}
    for node in graph_def.node:
        # What is kept in host memory is as constant as the rest.
        if node.op in ("Const", "HostConst"):
            constants[node.name] = make_ndarray(node.attr["value"].tensor)
            nodes[node.name] = f"{node.op} {list(node.input)}"
            continue
        attributes = {
            key: value.SerializeToString(deterministic=True).hex()
            for key, value in sorted(node.attr.items())
        }
        nodes[node.name] = f"{node.op} {list(node.input)} {node.device} {attributes}"
    return PlainModel(constants, nodes)


def _plain_onnx(model: Any) -> PlainModel:
    from onnx import numpy_helper

    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes = {
        f"{node.name} -> {list(node.output)}": node.SerializeToString(deterministic=True).hex()
        for node in model.graph.node
    }
    nodes["inputs"] = str([i.name for i in model.graph.input])
    nodes["outputs"] = str([o.name for o in model.graph.output])
    return PlainModel(constants, nodes)
