"""Casts that meet, Dequantize to bf16, int8 islands, shapes of inputs: equal outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.backends.finishing.cast_pairs import remove_cast_pairs, share_casts
from nc_sigopt_strategy.backends.finishing.dequantized import dequantize_to_bf16
from nc_sigopt_strategy.backends.finishing.input_shapes import state_input_shapes
from nc_sigopt_strategy.backends.finishing.int8_islands import keep_int8
from tests.backends.finishing.graphs import (
    CHANNELS,
    after,
    bf16,
    bias,
    conv,
    dequantized,
    fp32,
    graph_of,
    node,
    numbers,
    ops,
    out,
    quantized,
    ran,
    types,
    values,
)

PADDING = [[0, 0], [1, 1], [1, 1], [0, 0]]


def assert_equal(given: Any, made: Any, *names: str) -> None:
    for old, new in zip(values(given, *names), values(made, *names), strict=True):
        assert new.dtype == old.dtype
        np.testing.assert_array_equal(new, old)


def test_casts_that_meet_go() -> None:
    given = graph_of(lambda x: out(fp32(ops.Relu(features=bf16(fp32(bf16(fp32(bf16(x)))))))))
    made = after(given, remove_cast_pairs)
    assert types(made)["Cast"] == 2
    assert_equal(given, made, "out")


def test_casts_that_round_stay() -> None:
    given = graph_of(lambda x: out(fp32(bf16(x))))
    assert after(given, remove_cast_pairs) == given
    halves = graph_of(lambda x: out(fp32(bf16(fp32(tf.cast(x, tf.float16))))))
    assert after(halves, remove_cast_pairs) == halves


def test_casts_that_are_read_otherwise_stay() -> None:
    def build(x: Any) -> None:
        up = tf.cast(bf16(x), tf.float32, name="fetched")
        down = tf.cast(up, tf.bfloat16, name="waited_for")
        with tf.control_dependencies([down]):
            tf.no_op(name="after")
        out(fp32(ops.Relu(features=down)))

    given = graph_of(build)
    made = after(given, remove_cast_pairs, outputs=["fetched:0"])
    assert node(made, "Relu").input[0] != "waited_for"
    assert list(node(made, "after").input) == ["^waited_for"]
    assert_equal(given, made, "out", "fetched")


def test_casts_that_wait_for_something_stay() -> None:
    def build(x: Any) -> None:
        up = fp32(bf16(x))
        with tf.control_dependencies([tf.no_op(name="first")]):
            down = bf16(up)
        out(fp32(ops.Relu(features=down)))

    given = graph_of(build)
    assert after(given, remove_cast_pairs) == given


def test_one_cast_serves_all() -> None:
    given = graph_of(lambda x: out(fp32(ops.Relu(features=bf16(x)) + ops.Relu6(features=bf16(x)))))
    made = after(given, share_casts)
    assert types(given)["Cast"] - types(made)["Cast"] == 1
    assert_equal(given, made, "out")


@pytest.mark.parametrize("kind", [tf.quint8, tf.qint8], ids=["quint8", "qint8"])
@pytest.mark.parametrize("others", [False, True], ids=["alone", "others read float32"])
def test_dequantize_writes_what_a_cast_makes_of_it(kind: Any, others: bool) -> None:
    def build(x: Any) -> None:
        y = dequantized(quantized(x, kind=kind), name="dequantized")
        out(fp32(ops.Relu(features=bf16(y))) + (y if others else 0.0))

    given = graph_of(build)
    made = after(given, dequantize_to_bf16)
    assert types(made)["Cast"] == 1
    assert types(made)["Dequantize"] == 1 + others
    assert_equal(given, made, "out")


def test_dequantize_that_is_fetched_keeps_its_type() -> None:
    given = graph_of(
        lambda x: out(fp32(ops.Relu(features=bf16(dequantized(quantized(x), name="y")))))
    )
    assert_equal(given, after(given, dequantize_to_bf16, outputs=["y"]), "out", "y")


@pytest.mark.parametrize("changed", [{"mode": "MIN_FIRST"}, {"axis": 3}], ids=str)
def test_dequantize_of_other_kinds_stays(changed: dict[str, Any]) -> None:
    def build(x: Any) -> None:
        parts = quantized(x)
        if "axis" in changed:
            parts = (parts[0], tf.zeros(CHANNELS), tf.ones(CHANNELS))
        out(fp32(ops.Relu(features=bf16(dequantized(parts, **changed)))))

    given = graph_of(build)
    assert after(given, dequantize_to_bf16) == given


MOVES: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda x: x,
    "pad": lambda x: ops.Pad(input=x, paddings=PADDING),
    "reshape": lambda x: tf.reshape(x, [-1, 3, 12, CHANNELS]),
    "slice, then pad": lambda x: ops.Pad(input=x[:, 1:], paddings=PADDING),
    "squeeze": lambda x: tf.squeeze(x[:, :1], [1]),
}


@pytest.mark.parametrize("kind", [tf.quint8, tf.qint8], ids=["quint8", "qint8"])
@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_values_are_moved_as_int8(move: Callable[[Any], Any], kind: Any) -> None:
    def build(x: Any) -> None:
        moved = move(dequantized(quantized(x, 1.3, kind)))
        last = quantized(moved, 1.3, kind)
        for port in (1, 2):
            tf.identity(last[port], name=f"range{port}")
        out(dequantized(last))

    given = graph_of(build)
    made = after(given, keep_int8)
    assert types(made)["QuantizeV2"] == 1
    assert types(made)["Dequantize"] == 1
    assert_equal(given, made, "out", "range1", "range2")


def _pad(x: Any) -> Any:
    return ops.Pad(input=x, paddings=PADDING)


OTHER_ISLANDS: dict[str, Callable[[Any], Any]] = {
    "another range": lambda x: quantized(_pad(dequantized(quantized(x, 1.3))), 1.2),
    "another type": lambda x: ops.QuantizeV2(
        input=_pad(dequantized(quantized(x, 1.3))),
        min_range=0.0,
        max_range=1.3,
        T=tf.qint8,
        mode="SCALED",
    ),
    "a narrow range": lambda x: quantized(
        _pad(dequantized(quantized(x, 1.3, tf.qint8))), 1.3, tf.qint8, narrow_range=True
    ),
    "another mode": lambda x: quantized(
        _pad(dequantized(quantized(x, 1.3))), 1.3, mode="MIN_FIRST"
    ),
    "a range that is computed": lambda x: quantized(
        _pad(dequantized((quantized(x)[0], tf.constant(0.0), tf.reduce_max(x)))), 2.0
    ),
    "a range that is widened": lambda x: quantized(_pad(dequantized(quantized(x, 1e-3))), 1e-3),
    "a given range that is widened": lambda x: quantized(
        _pad(dequantized((quantized(x)[0], tf.constant(0.0), tf.constant(1e-3)))), 1e-3
    ),
    "an op that computes": lambda x: quantized(
        ops.Relu6(features=dequantized(quantized(x, 1.3))), 1.3
    ),
}


@pytest.mark.parametrize("island", OTHER_ISLANDS.values(), ids=OTHER_ISLANDS)
def test_other_islands_stay(island: Callable[[Any], Any]) -> None:
    given = graph_of(lambda x: out(dequantized(island(x))))
    assert after(given, keep_int8) == given


def test_an_island_that_others_read_stays() -> None:
    def build(x: Any) -> None:
        padded = ops.Pad(input=dequantized(quantized(x, 1.3)), paddings=PADDING, name="padded")
        last = ops.QuantizeV2(
            input=padded, min_range=0.0, max_range=1.3, T=tf.quint8, mode="SCALED", name="last"
        )
        out(dequantized(last))

    given = graph_of(build)
    assert types(after(given, keep_int8))["QuantizeV2"] == 1
    for fetched in ("padded", "last"):
        assert after(given, keep_int8, outputs=[fetched]) == given


def test_a_range_is_followed_through_pooling() -> None:
    def build(x: Any) -> None:
        parts = quantized(x, 1.3)
        pooled = ops.QuantizedMaxPool(
            input=parts[0],
            min_input=parts[1],
            max_input=parts[2],
            ksize=[1, 2, 2, 1],
            strides=[1, 2, 2, 1],
            padding="VALID",
        )
        out(dequantized(quantized(_pad(dequantized(pooled)), 1.3)))

    given = graph_of(build)
    made = after(given, keep_int8)
    # The first one's range is what it was asked for, whatever it reports.
    assert types(made)["QuantizeV2"] == 1
    assert_equal(given, made, "out")


def residual(x: Any) -> None:
    def pointwise(y: Any, seed: int) -> Any:
        kernel = tf.constant(numbers(1, 1, CHANNELS, CHANNELS, seed=seed))
        settings: Any = {"strides": [1, 1, 1, 1], "padding": "VALID"}
        return bias(ops.Conv2D(input=y, filter=kernel, **settings))

    stem = ops.Relu(features=pointwise(x, 1))
    total = ops.AddV2(x=stem, y=pointwise(ops.Relu(features=pointwise(stem, 2)), 3))
    out(ops.Relu(features=total))


def test_a_residual_sum_is_fused_where_shapes_are_known() -> None:
    given = graph_of(residual)
    made = after(given, state_input_shapes)
    assert "AddV2" in ran(given, "out")
    assert not {"AddV2", "Relu", "BiasAdd"} & set(ran(made, "out"))
    (old,), (new,) = values(given, "out"), values(made, "out")
    np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-5)
    assert after(made, state_input_shapes) == made


def test_batches_of_another_size_are_taken_as_before() -> None:
    made = after(graph_of(residual, (7, 6, 6, CHANNELS)), state_input_shapes)
    sizes = [dim.size for dim in node(made, "x/shape").attr["shape"].shape.dim]
    assert sizes == [-1, 6, 6, CHANNELS]


def test_shapes_are_stated_only_where_it_helps() -> None:
    plain = graph_of(lambda x: out(bias(conv(x)) + 1.0))
    assert after(plain, state_input_shapes) == plain
    unknown = graph_of(residual, (None, None, None, CHANNELS))
    assert node(after(unknown, state_input_shapes), "x/shape").attr["shape"].shape.dim[3].size == 4
    batch_only = graph_of(lambda x: out(x + x), (8, None))
    assert after(batch_only, state_input_shapes) == batch_only
    given = graph_of(lambda x: out(x + x), None)
    assert after(given, state_input_shapes) == given
