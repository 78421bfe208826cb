"""Biases of matrix products as the quantizer takes them: one number for each column.

ONNX lets a Gemm add whatever can be stretched to its result, and exporters use that: networks of
scikit-learn have biases of shape (1, columns), others a single number. ONNX Runtime's quantizer
reads one number for each scale of the weights (1.32), and fails on others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from nc_sigopt_strategy.backends.onnx_protos import attribute_of

_FLOAT = onnx.TensorProto.FLOAT


def biases_as_vectors(model: Any) -> list[dict[str, Any]]:
    """Give each Gemm a bias of shape (columns,) where its own is stretched to that, in place.

    A bias that differs between rows stays, and so does what another node reads. Nodes must have
    names of their own.

    Returns:
        Of each new bias ``name``, ``of`` which constant it is, its ``size``, and the names of its
        ``readers``, JSON-safe.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    made: dict[tuple[str, int], dict[str, Any]] = {}
    for node in graph.node:
        if node.op_type != "Gemm" or len(node.input) < 3:
            continue
        weight, bias = (constants.get(name) for name in node.input[1:3])
        if weight is None or bias is None or bias.data_type != _FLOAT or len(weight.dims) != 2:
            continue
        columns = int(weight.dims[0 if attribute_of(node, "transB", 0) else 1])
        if list(bias.dims) == [columns] or not _is_the_same_in_all_rows(bias.dims, columns):
            continue
        known = made.get((bias.name, columns))
        if known is None:
            known = {
                "name": f"{bias.name}_of_{columns}_columns",
                "of": bias.name,
                "size": columns,
                "readers": [],
            }
            made[bias.name, columns] = known
            values = np.broadcast_to(numpy_helper.to_array(bias).reshape(-1), (columns,))
            graph.initializer.append(
                numpy_helper.from_array(np.ascontiguousarray(values), known["name"])
            )
        known["readers"].append(node.name)
        node.input[2] = known["name"]
    return list(made.values())


def _is_the_same_in_all_rows(shape: Any, columns: int) -> bool:
    sizes = list(shape)
    return all(size == 1 for size in sizes[:-1]) and (not sizes or sizes[-1] in (1, columns))
