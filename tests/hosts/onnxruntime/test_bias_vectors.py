"""Biases that are stretched to the rows of a product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.hosts.onnxruntime.models import Batches, Net, given
from tests.hosts.onnxruntime.test_inputs import default_model, host_of, matrix


def dense(shape: tuple[int, ...]) -> Any:
    """Two layers as scikit-learn's networks are exported, with biases of some shape."""
    net = Net()
    x, inside = "x", 16
    for outside in (32, 32):
        x = net.node("MatMul", [x, net.drawn(inside, outside)])
        bias = matrix(1, 32).reshape(-1)[: int(np.prod(shape))].reshape(shape)
        x = net.node("Relu", [net.node("Add", [x, net.constant(bias)])])
        inside = outside
    return net.model({"x": ("N", 16)}, [x])


@pytest.mark.parametrize("shape", [(1, 32), (32,), (1,), (), (1, 1)], ids=str)
def test_biases_of_every_shape_that_is_stretched_to_rows(shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(3).normal(size=(64, 16)).astype(np.float32)
    default_model(host_of(given(dense(shape), Batches(data), [{"x": data}])))


def test_a_bias_that_differs_between_rows_stays_in_float() -> None:
    net = Net()
    x = net.node("Gemm", ["x", net.drawn(16, 32), net.constant(matrix(8, 32))], "rows")
    x = net.node("Gemm", [net.node("Relu", [x]), net.drawn(32, 8), net.drawn(8)], "columns")
    model = net.model({"x": (8, 16)}, [x])
    data = np.random.default_rng(3).normal(size=(64, 16)).astype(np.float32)
    host = host_of(given(model, Batches(data), [{"x": data[:8]}]))
    assert [op.key[0] for op in host.ops()] == ["columns"]
    (note,) = host.notes
    assert "rows (" in note
