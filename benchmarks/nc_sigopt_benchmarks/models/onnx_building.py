"""ONNX graphs written node by node, for models whose weights come without a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.extras import needed

# As old as the ops allow: every runtime here reads them.
_IR_VERSION = 8


class GraphWriter:
    """Nodes in the order in which they are added, which has to be topological.

    Args:
        name: Of the graph.
        opset: Of ONNX's own ops.
    """

    def __init__(self, name: str, opset: int) -> None:
        self._onnx = needed("onnx")
        self._name, self._opset = name, opset
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node; returns the name of its one output, ``NAME_output``."""
        output = f"{name}_output"
        self._nodes.append(
            self._onnx.helper.make_node(kind, list(inputs), [output], name, **attributes)
        )
        return output

    def constant(self, name: str, value: npt.ArrayLike, dtype: Any = np.float32) -> str:
        """Add an initializer, once for each name; returns its name."""
        array = np.ascontiguousarray(np.asarray(value, dtype))
        self._constants.setdefault(name, self._onnx.numpy_helper.from_array(array, name))
        return name

    def model(
        self,
        inputs: dict[str, tuple[Any, Sequence[int | str]]],
        result: str,
        output: tuple[str, Sequence[int | str]],
    ) -> Any:
        """The ``ModelProto``, checked.

        Args:
            inputs: Name to numpy type and shape; a string stands for an extent that may vary.
            result: The tensor that is the model's output.
            output: What it is called outside, and its shape.
        """
        helper = self._onnx.helper
        name, shape = output
        self._nodes.append(helper.make_node("Identity", [result], [name], name))

        def info(tensor: str, dtype: Any, extents: Sequence[int | str]) -> Any:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            return helper.make_tensor_value_info(tensor, kind, list(extents))

        graph = helper.make_graph(
            self._nodes,
            self._name,
            [info(tensor, *described) for tensor, described in inputs.items()],
            [info(name, np.float32, shape)],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", self._opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        self._onnx.checker.check_model(model)
        return model
