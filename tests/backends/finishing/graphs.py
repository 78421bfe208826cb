"""Small graphs as Neural Compressor leaves them, and what a session makes of a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.backends.finishing.editable_graph import EditableGraph

v1 = tf.compat.v1
ops = tf.raw_ops
CHANNELS = 4
SHAPE = (None, 6, 6, CHANNELS)
# What one rounding to bf16, of 8 significant bits, may change in a number.
STEP = 2.0**-8


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


IMAGES = numbers(2, 6, 6, CHANNELS, seed=9)


def graph_of(build: Callable[[Any], Any], shape: Any = SHAPE) -> Any:
    """A ``GraphDef`` with the input ``x``."""
    with tf.Graph().as_default() as graph:
        build(v1.placeholder(tf.float32, shape, name="x"))
    return graph.as_graph_def()


def bf16(tensor: Any) -> Any:
    return tf.cast(tensor, tf.bfloat16)


def fp32(tensor: Any) -> Any:
    return tf.cast(tensor, tf.float32)


def conv(tensor: Any, dtype: Any = tf.bfloat16, seed: int = 1, **more: Any) -> Any:
    """A 3x3 convolution in a type, with Neural Compressor's Casts around it."""
    kernel = tf.constant(numbers(3, 3, CHANNELS, CHANNELS, seed=seed) / 6, dtype)
    settings = {"strides": [1, 1, 1, 1], "padding": "SAME", **more}
    if dtype == tf.float32:
        return ops.Conv2D(input=tensor, filter=kernel, **settings)
    return fp32(ops.Conv2D(input=bf16(tensor), filter=kernel, **settings))


def bias(tensor: Any, seed: int = 2, name: str | None = None) -> Any:
    return ops.BiasAdd(value=tensor, bias=tf.constant(numbers(CHANNELS, seed=seed)), name=name)


def quantized(tensor: Any, high: float = 2.0, kind: Any = tf.quint8, **more: Any) -> Any:
    low = 0.0 if kind == tf.quint8 else -high
    settings = {"mode": "SCALED", **more}
    return ops.QuantizeV2(input=tensor, min_range=low, max_range=high, T=kind, **settings)


def dequantized(parts: Any, name: str | None = None, **more: Any) -> Any:
    settings = {"mode": "SCALED", **more}
    return ops.Dequantize(
        input=parts[0], min_range=parts[1], max_range=parts[2], name=name, **settings
    )


def values(graph_def: Any, *outputs: str, images: Any = IMAGES) -> list[Any]:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with v1.Session(graph=graph) as session:
            return list(session.run([f"{name}:0" for name in outputs], {"x:0": images}))


def ran(graph_def: Any, output: str) -> list[str]:
    """Types of the ops that a session runs, after all that it optimizes."""
    facts = v1.RunMetadata()
    options = v1.RunOptions(output_partition_graphs=True)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with v1.Session(graph=graph) as session:
            session.run(f"{output}:0", {"x:0": IMAGES}, options=options, run_metadata=facts)
    return [node.op for part in facts.partition_graphs for node in part.node]


def after(
    graph_def: Any, *rewrites: Callable[[EditableGraph], int], outputs: Iterable[str] = ()
) -> Any:
    """The graph that rewrites leave; it is checked that TensorFlow takes it as it stands."""
    graph = EditableGraph(graph_def, outputs)
    for rewrite in rewrites:
        rewrite(graph)
    made = graph.graph_def()
    with tf.Graph().as_default():
        tf.import_graph_def(made, name="")
    return made


def types(graph_def: Any) -> Counter[str]:
    """How many nodes there are of each type, constants left out; with ``/bf16`` if they are so."""
    return Counter(
        node.op + ("/bf16" if "T" in node.attr and node.attr["T"].type == tf.bfloat16 else "")
        for node in graph_def.node
        if node.op != "Const"
    )


def node(graph_def: Any, name: str) -> Any:
    return next(node for node in graph_def.node if node.name == name)


def out(tensor: Any) -> None:
    """Name a tensor as the graph's output."""
    tf.identity(tensor, name="out")
