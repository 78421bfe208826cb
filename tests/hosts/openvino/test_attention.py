"""Which models are transformers, and that a mask of huge numbers does not spoil their int8."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.openvino.attention import attends
from nc_sigopt_strategy.hosts.openvino.openvino_host import OpenVinoHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices
from tests.hosts.openvino.small_models import (
    SIZE,
    Batches,
    Net,
    attention,
    chain,
    residual,
    sequences,
)


def fused_attention() -> Any:
    net = Net()
    given = net.input(-1, SIZE, 32)
    query, key, value = (net.dense(given, 32, name) for name in ("query", "key", "value"))
    made = net.op.scaled_dot_product_attention(query, key, value)
    return net.model(net.dense(made, 10, "logits"), given)


def classifier() -> Any:
    """Its softmax gives probabilities, which fixed weights sum."""
    net = Net()
    given = net.input(-1, SIZE, 32)
    shares = net.op.softmax(net.dense(given, 32, "logits"), 2, name="probabilities")
    return net.model(net.dense(shares, 10, "sums"), given)


def masked_attention() -> Any:
    """Three layers; the second input is 0 where a position is padding, as encoders take it."""
    net = Net(seed=3)
    given, mask = net.input(-1, SIZE, 32), net.input(-1, 1, SIZE, name="mask")
    smallest = net.op.constant(np.float32(np.finfo(np.float32).min))
    one = net.op.constant(np.float32(1))
    added = net.op.multiply(net.op.subtract(one, mask), smallest, name="added_mask")
    state = given
    for layer in range(3):
        query, key, value = (
            net.dense(state, 32, f"{layer}/{name}") for name in ("query", "key", "value")
        )
        scores = net.op.matmul(query, key, False, True, name=f"{layer}/scores")
        shares = net.op.softmax(net.op.add(scores, added), 2, name=f"{layer}/shares")
        mixed = net.op.matmul(shares, value, False, False, name=f"{layer}/mixed")
        state = net.op.add(state, net.dense(mixed, 32, f"{layer}/out"))
    return net.model(net.dense(state, 10, "logits"), [given, mask])


def masked_sequences() -> Batches:
    class Pairs(Batches):
        def __iter__(self) -> Any:
            draw = np.random.default_rng(5)
            for array in self.arrays:
                lengths = draw.integers(4, SIZE, len(array))
                kept = (np.arange(SIZE)[None, None, :] < lengths[:, None, None]).astype(np.float32)
                yield {"x": array, "mask": kept}, np.zeros(len(array))

    return Pairs(sequences().arrays)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (attention, True),
        (fused_attention, True),
        (masked_attention, True),
        (classifier, False),
        (chain, False),
        (residual, False),
    ],
)
def test_a_softmax_that_weighs_what_was_computed_is_attention(make: Any, found: bool) -> None:
    assert attends(make()) is found


def test_a_masked_encoder_stays_itself_in_int8() -> None:
    model, data = masked_attention(), masked_sequences()
    made = OpenVinoHost(Given(model, data, lambda compiled: 1.0, sampling_sizes=(16,)), Settings())
    choices = Choices({op.key: op.default for op in made.ops()}, 16)
    quantized, float_model = (
        made.users_model(each) for each in (made.quantize(choices), made.fp32)
    )
    for inputs, _ in data:
        expected, got = float_model(inputs)[0], quantized(inputs)[0]
        assert np.mean((got - expected) ** 2) < 0.05 * np.var(expected)
    assert made.recipe(choices)["nncf"]["model_type"] == "transformer"
