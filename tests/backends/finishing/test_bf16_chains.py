"""Which ops join a bf16 chain, that names and types stay, and that only bf16 rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.backends.finishing.bf16_chains import join_bf16_chains
from nc_sigopt_strategy.backends.finishing.cast_pairs import remove_cast_pairs
from nc_sigopt_strategy.backends.finishing.dequantized import dequantize_to_bf16
from tests.backends.finishing.graphs import (
    CHANNELS,
    IMAGES,
    SHAPE,
    STEP,
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
    v1,
    values,
)


def chained(graph_def: Any, *outputs: str) -> Any:
    return after(graph_def, join_bf16_chains, remove_cast_pairs, outputs=outputs)


def assert_only_rounded(before: Any, made: Any, name: str = "out", roundings: int = 4) -> None:
    (old,), (new,) = values(before, name), values(made, name)
    assert new.dtype == old.dtype
    assert np.abs(new - old).max() <= roundings * STEP * np.abs(old).max()


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: ops.Relu(features=x),
    "relu6": lambda x: ops.Relu6(features=x),
    "elu": lambda x: ops.Elu(features=x),
    "leaky": lambda x: ops.LeakyRelu(features=x, alpha=0.3),
}
BIASES: dict[str, Callable[[Any], Any]] = {
    "BiasAdd": bias,
    "Add": lambda x: ops.Add(x=x, y=tf.constant(numbers(CHANNELS))),
    "AddV2, constant first": lambda x: ops.AddV2(x=tf.constant(numbers(1, 1, 1, CHANNELS)), y=x),
}


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
@pytest.mark.parametrize("add_bias", BIASES.values(), ids=BIASES)
def test_bias_and_activation_follow_their_convolution(add_bias: Any, activation: Any) -> None:
    given = graph_of(lambda x: out(conv(activation(add_bias(conv(x))), seed=5)))
    made = chained(given)
    # One Cast at each end, and no op between them in another type.
    assert types(made)["Cast"] == 2
    assert (
        not types(made).keys()
        - {"Placeholder", "Cast", "Identity"}
        - {kind for kind in types(made) if kind.endswith("/bf16")}
    )
    assert_only_rounded(given, made)


@pytest.mark.parametrize("contraction", ["DepthwiseConv2dNative", "MatMul"])
def test_other_contractions_too(contraction: str) -> None:
    def build(x: Any) -> None:
        if contraction == "MatMul":
            x = tf.reshape(x, [-1, CHANNELS])
            kernel = tf.constant(numbers(CHANNELS, CHANNELS), tf.bfloat16)
            y = fp32(ops.MatMul(a=bf16(x), b=kernel))
            z = ops.MatMul(a=bf16(ops.Relu(features=bias(y))), b=kernel)
        else:
            kernel = tf.constant(numbers(3, 3, CHANNELS, 1), tf.bfloat16)
            same: Any = {"filter": kernel, "strides": [1, 1, 1, 1], "padding": "SAME"}
            y = fp32(ops.DepthwiseConv2dNative(input=bf16(x), **same))
            z = ops.DepthwiseConv2dNative(input=bf16(ops.Relu(features=bias(y))), **same)
        out(fp32(z))

    given = graph_of(build)
    made = chained(given)
    assert types(made)["Cast"] == 2
    assert_only_rounded(given, made)


MOVES: dict[str, Callable[[Any], Any]] = {
    "max pooling": lambda x: ops.MaxPool(
        input=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID"
    ),
    "pad": lambda x: ops.Pad(input=x, paddings=[[0, 0], [1, 1], [1, 1], [0, 0]]),
    "concat": lambda x: ops.ConcatV2(values=[x, x], axis=1),
    "reshape": lambda x: tf.reshape(x, [-1, 3, 12, CHANNELS]),
    "transpose": lambda x: tf.transpose(x, [0, 2, 1, 3]),
    "slice": lambda x: x[:, 1:, ::2],
    "squeeze": lambda x: tf.squeeze(tf.expand_dims(x, 1), [1]),
    "identity": tf.identity,
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_what_only_moves_values_gives_the_very_same(move: Callable[[Any], Any]) -> None:
    given = graph_of(lambda x: out(conv(move(conv(x)), seed=5)))
    made = chained(given)
    assert types(made)["Cast"] == 2
    np.testing.assert_array_equal(*values(given, "out"), *values(made, "out"))


def test_a_concatenation_with_a_float32_tensor_stays() -> None:
    given = graph_of(lambda x: out(conv(ops.ConcatV2(values=[conv(x), x], axis=1), seed=5)))
    assert types(chained(given)) == types(given)


def test_a_residual_sum_follows_the_convolution_it_is_fused_with() -> None:
    def build(x: Any) -> None:
        stem = ops.Relu(features=bias(conv(x)))
        total = ops.AddV2(x=stem, y=bias(conv(stem, seed=3), seed=4))
        out(conv(ops.Relu(features=total), seed=5))

    given = graph_of(build)
    made = chained(given)
    assert types(made)["Cast"] == 2
    assert types(made)["AddV2/bf16"] == 1
    assert_only_rounded(given, made)


STAYING_SUMS: dict[str, Callable[[Any, Any], Any]] = {
    "the other is float32": lambda x, y: ops.AddV2(x=x, y=y),
    "broadcast": lambda x, y: ops.AddV2(x=fp32(bf16(x[:, :1])), y=y),
    "no bias before it": lambda x, y: ops.AddV2(x=fp32(bf16(x)), y=ops.Relu(features=y)),
    "a constant behind the bias": lambda x, y: ops.AddV2(x=y, y=tf.constant(numbers(CHANNELS))),
}


@pytest.mark.parametrize("add", STAYING_SUMS.values(), ids=STAYING_SUMS)
def test_other_sums_stay_float32(add: Callable[[Any, Any], Any]) -> None:
    given = graph_of(lambda x: out(conv(ops.Relu(features=add(x, bias(conv(x)))), seed=5)))
    made = chained(given)
    assert types(made)["AddV2"] == 1
    assert types(made)["AddV2/bf16"] == 0
    assert_only_rounded(given, made)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (6, 6, CHANNELS), (6, 1, CHANNELS)], ids=str)
def test_a_constant_that_is_no_bias_stays(shape: tuple[int, ...]) -> None:
    def build(x: Any) -> None:
        total = ops.AddV2(x=conv(x), y=tf.constant(np.full(shape, 0.3, np.float32)))
        out(conv(ops.Relu(features=total), seed=5))

    given = graph_of(build)
    assert types(chained(given)) == types(given)


def test_what_more_than_one_reads_is_not_fused_and_stays() -> None:
    def build(x: Any) -> None:
        y = conv(x)
        out(conv(ops.Relu(features=bias(y)), seed=5) + y)

    given = graph_of(build)
    assert types(chained(given)) == types(given)


def test_an_activation_behind_a_zero_bias_is_not_fused_and_stays() -> None:
    def build(x: Any) -> None:
        y = ops.BiasAdd(value=conv(x), bias=tf.constant(np.zeros(CHANNELS, np.float32)))
        out(conv(ops.Relu(features=y), seed=5))

    given = graph_of(build)
    assert types(chained(given)) == types(given)


def test_an_activation_of_a_bias_that_others_read_stays() -> None:
    def build(x: Any) -> None:
        y = bias(conv(x))
        out(conv(ops.Relu(features=y), seed=5) + conv(y, seed=6))

    given = graph_of(build)
    made = chained(given)
    assert types(made)["BiasAdd/bf16"] == 1
    assert types(made)["Relu"] == 1
    assert_only_rounded(given, made)


def test_what_follows_a_float32_convolution_stays_with_it() -> None:
    given = graph_of(lambda x: out(conv(ops.Relu(features=bias(conv(x, tf.float32))), seed=5)))
    assert types(chained(given)) == types(given)


def test_the_models_answer_is_not_rounded() -> None:
    def build(x: Any) -> None:
        y = ops.Relu(features=bias(conv(x), name="hidden"))
        out(tf.nn.softmax(bias(conv(y, seed=5), name="logits")))

    made = chained(graph_of(build))
    assert node(made, "hidden").attr["T"].type == tf.bfloat16
    assert node(made, "logits").attr["T"].type == tf.float32


def test_a_chain_that_quantization_follows_ends_before_it() -> None:
    def build(x: Any) -> None:
        parts = quantized(ops.Relu(features=bias(conv(x))))
        out(dequantized(parts))

    given = graph_of(build)
    made = chained(given)
    assert types(made)["Relu/bf16"] == 1
    assert types(made)["Cast"] == 2
    # One step of 255 where rounding falls on the other side.
    assert np.abs(np.subtract(*values(given, "out"), *values(made, "out"))).max() <= 2.001 / 127


def test_names_and_types_of_outputs_inside_a_chain_stay() -> None:
    def build(x: Any) -> None:
        y = ops.Relu(features=bias(conv(x), name="biased"), name="hidden")
        out(conv(tf.reshape(y, [-1, 3, 12, CHANNELS], name="moved"), seed=5))

    given = graph_of(build)
    for outputs in (["hidden"], ["biased"], ["moved"], ["hidden", "moved"]):
        made = chained(given, "out", *(f"{name}:0" for name in outputs))
        for name in ("out", *outputs):
            assert_only_rounded(given, made, name)


def test_an_activation_of_a_bias_that_is_fetched_is_not_fused_and_stays() -> None:
    def build(x: Any) -> None:
        out(conv(ops.Relu(features=bias(conv(x), name="biased")), seed=5))

    given = graph_of(build)
    assert types(chained(given))["Relu/bf16"] == 1
    assert types(chained(given, "biased"))["Relu/bf16"] == 0


def test_a_constant_that_several_read_is_converted_once() -> None:
    def build(x: Any) -> None:
        shared = tf.constant(numbers(CHANNELS))
        y = ops.Relu(features=ops.BiasAdd(value=conv(x), bias=shared))
        out(conv(ops.Relu(features=ops.BiasAdd(value=conv(y, seed=4), bias=shared)), seed=5))

    given = graph_of(build)
    made = chained(given)
    assert types(made)["BiasAdd/bf16"] == 2
    biases = {name for n in made.node if n.op == "BiasAdd" for name in n.input[1:]}
    assert len(biases) == 1
    assert_only_rounded(given, made)


def test_control_inputs_stay() -> None:
    def build(x: Any) -> None:
        y = bias(conv(x))
        with tf.control_dependencies([tf.no_op(name="first")]):
            z = ops.Relu(features=y, name="second")
        with tf.control_dependencies([z]):
            tf.no_op(name="third")
        out(conv(z, seed=5))

    made = chained(graph_of(build))
    assert node(made, "second").attr["T"].type == tf.bfloat16
    assert "^first" in node(made, "second").input
    assert list(node(made, "third").input) == ["^second"]


def test_channels_first_biases_keep_their_layout() -> None:
    def build(x: Any) -> None:
        settings: Any = {"strides": [1, 1, 1, 1], "padding": "SAME", "data_format": "NCHW"}
        kernel = tf.constant(numbers(3, 3, CHANNELS, CHANNELS), tf.bfloat16)
        y = fp32(ops.Conv2D(input=bf16(x), filter=kernel, **settings))
        y = ops.BiasAdd(value=y, bias=tf.constant(numbers(CHANNELS)), data_format="NCHW")
        per_channel = tf.constant(numbers(1, CHANNELS, 1, 1))
        z = fp32(ops.Conv2D(input=bf16(ops.Relu(features=y)), filter=kernel, **settings))
        out(fp32(bf16(ops.AddV2(x=z, y=per_channel))))

    made = chained(graph_of(build, (None, CHANNELS, 6, 6)))
    (biased,) = [n for n in made.node if n.op == "BiasAdd"]
    assert biased.attr["T"].type == tf.bfloat16
    assert biased.attr["data_format"].s == b"NCHW"
    # TensorFlow does not fuse this one.
    assert types(made)["AddV2"] == 1


def test_a_chain_inside_of_a_loop() -> None:
    def build(x: Any) -> None:
        v1.disable_control_flow_v2()
        try:
            found = v1.while_loop(
                lambda count, _: count < 3,
                lambda count, y: (count + 1, conv(ops.Relu(features=bias(conv(y))), seed=5)),
                (tf.constant(0), x),
                shape_invariants=(tf.TensorShape([]), tf.TensorShape(SHAPE)),
            )
        finally:
            v1.enable_control_flow_v2()
        out(found[1])

    given = graph_of(build)
    assert types(given)["Enter"]
    made = chained(given)
    assert types(made)["BiasAdd/bf16"] == 1
    assert_only_rounded(given, made, roundings=12)


def test_functions_stay() -> None:
    @tf.function
    def inner(x: Any) -> Any:
        return conv(ops.Relu(features=bias(conv(x))), seed=5)

    given = graph_of(lambda x: out(inner(conv(x))))
    assert given.library.function
    made = chained(given)
    assert made.library == given.library
    assert_only_rounded(given, made)


def test_an_int8_tensor_joins_a_sum_as_bf16() -> None:
    def build(x: Any) -> None:
        total = ops.AddV2(x=dequantized(quantized(x)), y=bias(conv(x)))
        out(conv(ops.Relu(features=total), seed=5))

    given = graph_of(build)
    made = after(given, join_bf16_chains, remove_cast_pairs, dequantize_to_bf16)
    assert types(made)["AddV2/bf16"] == 1
    assert types(made)["Cast"] == 2
    assert_only_rounded(given, made)


def test_tensorflow_fuses_what_joined() -> None:
    from neural_compressor.utils.utility import CpuInfo

    if not CpuInfo().bf16:
        pytest.skip("this CPU computes no bf16: TensorFlow's kernels fuse none of it")
    given = graph_of(lambda x: out(conv(ops.Relu6(features=bias(conv(x))), seed=5)))
    assert {"BiasAdd", "Relu6"} <= set(ran(given, "out"))
    assert not {"BiasAdd", "Relu6"} & set(ran(chained(given), "out"))


@pytest.mark.parametrize("add", ["Add", "AddV2"])
@pytest.mark.parametrize("shape", [(CHANNELS,), (1, 1, 1, CHANNELS)])
def test_tensorflow_itself_takes_a_constant_sum_for_a_bias(
    add: str, shape: tuple[int, ...]
) -> None:
    # Why there is no rewrite of such sums to BiasAdd.
    def build(x: Any) -> None:
        constant = tf.constant(numbers(*shape))
        out(ops.Relu(features=getattr(ops, add)(x=conv(x, tf.float32), y=constant)))

    assert not {"Add", "AddV2", "BiasAdd", "Relu"} & set(ran(graph_of(build), "out"))


def test_tensorflow_itself_leaves_casts_alone() -> None:
    # Why there is a rewrite where TensorFlow has auto mixed precision.
    given = graph_of(lambda x: out(conv(ops.Relu6(features=bias(conv(x))), seed=5)))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(given, name="")
        config = v1.ConfigProto()
        config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = 1
        facts = v1.RunMetadata()
        with v1.Session(graph=graph, config=config) as session:
            session.run(
                "out:0",
                {"x:0": IMAGES},
                options=v1.RunOptions(output_partition_graphs=True),
                run_metadata=facts,
            )
    found = [n.op for part in facts.partition_graphs for n in part.node]
    assert found.count("Cast") == 4
