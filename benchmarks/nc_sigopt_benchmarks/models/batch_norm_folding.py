"""Folding batch normalization into the convolution before it, in a frozen TensorFlow graph.

TensorFlow writes it as one op (FusedBatchNormV3) or, from Keras 3 on, as a multiplication and an
addition. Both are an affine map per channel, and so is the bias before them: each chain of such
ops behind a convolution becomes new weights and one BiasAdd.

Why it matters is in ``keras_graphs``: what is left unfolded costs int8 models their accuracy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.models.frozen_graphs import op_name

_CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})
_NORMALIZATIONS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
_ADDITIONS = frozenset({"BiasAdd", "Add", "AddV2"})

_Array = npt.NDArray[np.float64]
# What an op does to each channel: it multiplies, then adds.
_Affine = tuple[_Array, _Array]


def fold_batch_norm(graph_def: Any, outputs: Iterable[str]) -> Any:
    """A graph that computes the same with fewer ops.

    The last op of each folded chain keeps its name, so that everything behind it stays as it is.

    Args:
        graph_def: Frozen; its constants must be constants and not computed from others.
        outputs: Names of the ops whose values must stay available.

    Returns:
        A new ``GraphDef``; nodes that nothing reads any longer are left out.
    """
    outputs = tuple(map(op_name, outputs))
    folding = _Folding(graph_def, outputs)
    for node in graph_def.node:
        if node.op in _CONVOLUTIONS:
            folding.fold(node)
    tf = needed("tensorflow")
    return tf.compat.v1.graph_util.extract_sub_graph(folding.result(), list(outputs))


class _Folding:
    def __init__(self, graph_def: Any, outputs: tuple[str, ...]) -> None:
        self._graph_def = graph_def
        self._nodes = {node.name: node for node in graph_def.node}
        self._readers: dict[str, list[Any]] = {}
        for node in graph_def.node:
            for name in set(map(_source, node.input)):
                self._readers.setdefault(name, []).append(node)
        self._outputs = Counter(outputs)
        self._replaced: dict[str, list[Any]] = {}

    def fold(self, convolution: Any) -> None:
        """Fold what follows one convolution, unless that is one BiasAdd already."""
        kernel = self._constant(convolution.input[1])
        if kernel is None or convolution.attr["data_format"].s not in (b"", b"NHWC"):
            return
        depthwise = convolution.op == "DepthwiseConv2dNative"
        channels = kernel.shape[2] * kernel.shape[3] if depthwise else kernel.shape[3]
        factor, offset = np.ones(channels), np.zeros(channels)
        chain = [convolution]
        while (following := self._only_reader(chain[-1])) is not None:
            affine = self._affine(following, chain[-1].name, channels)
            if affine is None:
                break
            factor, offset = factor * affine[0], offset * affine[0] + affine[1]
            chain.append(following)
        if [node.op for node in chain[1:]] not in ([], ["BiasAdd"]):
            folded = kernel * (factor.reshape(kernel.shape[2:]) if depthwise else factor)
            self._replace(chain, folded, offset)

    def result(self) -> Any:
        """The graph with all replacements; what became unused is still in it."""
        result = type(self._graph_def)()
        result.versions.CopyFrom(self._graph_def.versions)
        result.library.CopyFrom(self._graph_def.library)
        for node in self._graph_def.node:
            result.node.extend(self._replaced.get(node.name, [node]))
        return result

    def _replace(self, chain: list[Any], kernel: _Array, offset: _Array) -> None:
        convolution, last = chain[0], chain[-1]
        new_kernel = _constant_node(f"{convolution.name}/folded_kernel", kernel)
        new_bias = _constant_node(f"{convolution.name}/folded_bias", offset)
        new_convolution = type(last)()
        new_convolution.CopyFrom(convolution)
        new_convolution.input[1] = new_kernel.name
        bias_add = type(last)(
            name=last.name, op="BiasAdd", input=[convolution.name, new_bias.name]
        )
        bias_add.attr["T"].CopyFrom(convolution.attr["T"])
        self._replaced[convolution.name] = [new_kernel, new_convolution]
        self._replaced[last.name] = [new_bias, bias_add]

    def _only_reader(self, node: Any) -> Any | None:
        readers = self._readers.get(node.name, [])
        return readers[0] if len(readers) == 1 and not self._outputs[node.name] else None

    def _affine(self, node: Any, before: str, channels: int) -> _Affine | None:
        """What an op does to each channel of ``before``; ``None`` if it is no affine map."""
        if node.op == "Identity":
            return np.ones(channels), np.zeros(channels)
        if node.op in _NORMALIZATIONS:
            return self._normalization(node)
        if node.op not in (*_ADDITIONS, "Mul", "Sub") or len(node.input) != 2:
            return None
        first = _source(node.input[0]) == before
        constant = self._constant(node.input[1 if first else 0])
        # One number per channel, channels last, or one for all.
        if constant is None or constant.size not in (1, channels):
            return None
        if constant.size != 1 and constant.shape[-1] != channels:
            return None
        values = np.broadcast_to(constant.reshape(-1), channels).astype(np.float64)
        if node.op == "Mul":
            return values, np.zeros(channels)
        if node.op == "Sub":
            ones = np.ones(channels)
            return (ones, -values) if first else (-ones, values)
        return np.ones(channels), values

    def _normalization(self, node: Any) -> _Affine | None:
        numbers = [self._constant(name) for name in node.input[1:5]]
        # As the op's definition has it: training is its default.
        training = node.attr["is_training"].b if "is_training" in node.attr else True
        others_read = any(
            name.startswith(f"{node.name}:") for reader in self._readers.get(node.name, [])
            for name in reader.input
        )  # fmt: skip
        if training or others_read or any(number is None for number in numbers):
            return None
        gamma, beta, mean, variance = (np.asarray(number, np.float64) for number in numbers)
        epsilon = node.attr["epsilon"].f if "epsilon" in node.attr else 1e-4
        factor = gamma / np.sqrt(variance + epsilon)
        return factor, beta - mean * factor

    def _constant(self, name: str) -> _Array | None:
        node = self._nodes.get(_source(name))
        while node is not None and node.op == "Identity":
            node = self._nodes.get(_source(node.input[0]))
        if node is None or node.op != "Const":
            return None
        value = needed("tensorflow").make_ndarray(node.attr["value"].tensor)
        # Half precision and integers are left alone: folding them would round twice.
        return value.astype(np.float64) if value.dtype == np.float32 else None


def _source(name: str) -> str:
    return op_name(name.lstrip("^"))


def _constant_node(name: str, value: _Array) -> Any:
    tf = needed("tensorflow")
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.astype(np.float32)))
    return node
