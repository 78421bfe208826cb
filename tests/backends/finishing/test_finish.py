"""``finish``: what it takes, what it gives back, all rewrites together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import nc_sigopt_strategy
from nc_sigopt_strategy.errors import ModelError, UnsupportedVersionError
from tests.backends.finishing.graphs import (
    STEP,
    bias,
    conv,
    dequantized,
    graph_of,
    ops,
    quantized,
    types,
    values,
)

finish = nc_sigopt_strategy.finish


def mixed(x: Any) -> None:
    """int8, then bf16 with a residual sum, float32, bf16, int8."""
    stem = dequantized(quantized(x))
    y = ops.Relu(features=bias(conv(stem)))
    y = ops.Relu(features=ops.AddV2(x=y, y=bias(conv(y, seed=3), seed=4)))
    y = ops.Relu6(features=bias(conv(y, tf.float32, seed=5), seed=6), name="middle")
    y = ops.Relu6(features=bias(conv(y, seed=7), seed=8))
    tf.identity(dequantized(quantized(y)), name="out")


@pytest.fixture
def given() -> Any:
    return graph_of(mixed)


def test_a_graph_def_gives_a_new_one(given: Any) -> None:
    before = type(given)()
    before.CopyFrom(given)
    made = finish(given, ["middle"])
    assert given == before
    assert types(made)["Cast"] < types(given)["Cast"]
    for name in ("middle", "out"):
        (old,), (new,) = values(given, name), values(made, name)
        assert new.dtype == old.dtype
        assert np.abs(new - old).max() <= 8 * STEP * np.abs(old).max()


def test_finishing_twice_changes_nothing_more(given: Any) -> None:
    once = finish(given)
    assert finish(once) == once


def test_a_graph_that_has_nothing_to_finish_comes_back() -> None:
    given = graph_of(lambda x: tf.identity(bias(conv(x, tf.float32)), name="out"))
    assert finish(given) is given


def test_a_graph_gives_a_graph(given: Any) -> None:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(given, name="")
    made = finish(graph)
    assert made.get_tensor_by_name("out:0").dtype == tf.float32
    assert types(made.as_graph_def())["Cast"] < types(given)["Cast"]


class Wrapped:
    """A model object as Neural Compressor's are."""

    def __init__(self, graph_def: Any) -> None:
        self.graph_def = graph_def
        self.output_tensor_names = ["out:0", "middle:0"]


def test_a_model_object_gets_the_finished_graph(given: Any) -> None:
    model = Wrapped(given)
    assert finish(model) is model
    assert model.graph_def == finish(given, ["middle"])


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(ModelError, match="but got a str"):
        finish("model.pb")


def test_an_output_that_is_not_there_is_refused(given: Any) -> None:
    with pytest.raises(ModelError, match=r"no node 'logits'.*'out'"):
        finish(given, ["logits:0"])


def test_a_tensorflow_that_cannot_run_finished_graphs_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tf, "__version__", "2.15.1")
    with pytest.raises(UnsupportedVersionError, match=r"TensorFlow is 2\.15\.1.* 2\.18 or newer"):
        finish(tf.compat.v1.GraphDef())
