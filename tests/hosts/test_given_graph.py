"""A TensorFlow graph that is quantized already is refused."""

from __future__ import annotations

import pytest
import tensorflow as tf

from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.hosts.inc.given_graph import refuse_quantized_graph


@pytest.mark.parametrize("op", ["_QuantizedConv2D", "QuantizeV2", "Dequantize", "QuantizedMatMul"])
def test_quantized_graph(op: str) -> None:
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="a", op=op)
    graph.node.add(name="b", op="Conv2D")
    with pytest.raises(ModelError, match=rf"1 quantized nodes \(1 {op}\)"):
        refuse_quantized_graph(graph)


def test_float_graph() -> None:
    graph = tf.compat.v1.GraphDef()
    for op in ("Conv2D", "_FusedConv2D", "FakeQuantWithMinMaxVars", "Const"):
        graph.node.add(name=op, op=op)
    refuse_quantized_graph(graph)
