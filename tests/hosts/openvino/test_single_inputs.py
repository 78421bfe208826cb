"""Which inputs NNCF gets one by one, and which by batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.space.ops import Choices
from tests.hosts.openvino.small_models import SIZE, Net, chain
from tests.hosts.openvino.test_given_model import host, quantized_outputs


def test_a_fixed_batch_calibrates_by_batches() -> None:
    made = host(chain(batch=4))
    recipe = made.recipe(Choices({op.key: op.default for op in made.ops()}, 8))
    assert (recipe["items"], recipe["subset_size"]) == ("batches", 2)
    assert quantized_outputs(made)[0].shape == (4, 10)


def takes_four_only() -> Any:
    """It says that it takes any number of inputs, as traced modules do."""
    net = Net()
    given = net.input(-1, 3, SIZE, SIZE)
    pooled = net.pooled(net.conv(given, 8, "a"))
    return net.model(net.dense(net.op.reshape(pooled, [4, 8], False), 10, "b"), given)


def mixes_its_inputs() -> Any:
    net = Net()
    given = net.input(-1, 3, SIZE, SIZE)
    made = net.conv(given, 8, "a")
    mean = net.op.reduce_mean(made, net.op.constant(np.array([0])), keep_dims=True)
    return net.model(net.conv(net.op.subtract(made, mean), 8, "b"), given)


@pytest.mark.parametrize("make", [takes_four_only, mixes_its_inputs])
def test_inputs_that_do_not_stand_alone_calibrate_by_batches(make: Any) -> None:
    made = host(make())
    recipe = made.recipe(Choices({op.key: op.default for op in made.ops()}, 8))
    assert (recipe["items"], recipe["subset_size"]) == ("batches", 2)
    assert len(quantized_outputs(made)[0]) == 4
