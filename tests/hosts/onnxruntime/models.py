"""Small models with the structure of real ones, data for them and the agreement with FP32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from nc_sigopt_strategy.hosts.given import Criterion, Given

FLOAT = onnx.TensorProto.FLOAT


class Net:
    """Collects nodes and weights; each method adds a node and returns the tensor that it makes.

    Args:
        seed: Of the weights.
    """

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._rng = np.random.default_rng(seed)

    def constant(self, value: Any, name: str | None = None) -> str:
        name = name or f"k{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def drawn(self, *shape: int) -> str:
        size = np.prod(shape[1:]) if len(shape) > 1 else 4
        return self.constant((self._rng.normal(size=shape) / np.sqrt(size)).astype(np.float32))

    def node(self, kind: str, inputs: Sequence[str], name: str | None = None, **more: Any) -> str:
        name = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}:0"], name, **more))
        return f"{name}:0"

    def conv(self, x: str, width: int, to: int, kernel: int = 1, **more: Any) -> str:
        groups = more.pop("group", 1)
        weights = self.drawn(to, width // groups, kernel, kernel)
        pads = [kernel // 2] * 4
        return self.node("Conv", [x, weights, self.drawn(to)], pads=pads, group=groups, **more)

    def linear(self, x: str, width: int, to: int) -> str:
        product = self.node("MatMul", [x, self.drawn(width, to)])
        return self.node("Add", [product, self.drawn(to)])

    def model(
        self,
        inputs: dict[str, Sequence[Any]],
        outputs: Sequence[str],
        opset: int = 17,
        ir_version: int = 8,
        kinds: dict[str, int] | None = None,
    ) -> Any:
        kinds = kinds or {}
        graph = helper.make_graph(
            self.nodes,
            "net",
            [
                helper.make_tensor_value_info(name, kinds.get(name, FLOAT), list(shape))
                for name, shape in inputs.items()
            ],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            self.weights,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version
        )
        inferred = onnx.shape_inference.infer_shapes(model)
        del inferred.graph.value_info[:]
        return inferred


def mobile_net(width: int = 16, blocks: int = 3, side: int | str = 12) -> Any:
    """Depthwise and pointwise convolutions behind Clips, and a residual sum."""
    net = Net()
    six = [net.constant(np.float32(0), "zero"), net.constant(np.float32(6), "six")]

    def relu6(x: str) -> str:
        return net.node("Clip", [x, *six])

    x = relu6(net.conv("images", 3, width, 3))
    for _ in range(blocks):
        y = relu6(net.conv(x, width, 2 * width))
        y = relu6(net.conv(y, 2 * width, 2 * width, 3, group=2 * width))
        x = net.node("Add", [net.conv(y, 2 * width, width), x])
    x = net.node("GlobalAveragePool", [x])
    x = net.node("Flatten", [x])
    x = net.node("Gemm", [x, net.drawn(5, width), net.drawn(5)], "head", transB=1)
    return net.model({"images": ("N", 3, side, side)}, [x])


def row_biases(width: int = 8) -> Any:
    """A convolution before two products whose biases are rows, as scikit-learn's networks have."""
    net = Net()
    x = net.node("Flatten", [net.node("GlobalAveragePool", [net.conv("images", 3, width, 3)])])
    for outside in (16, 5):
        x = net.node("MatMul", [x, net.drawn(width, outside)])
        x = net.node("Add", [x, net.drawn(1, outside)])
        width = outside
    return net.model({"images": ("N", 3, 12, 12)}, [x])


def hard_swish_net(width: int = 16) -> Any:
    """Convolutions behind the hard swish as exporters spell it, with a division in it."""
    net = Net()
    three, six = (net.constant(np.float32(value)) for value in (3, 6))
    zero, x = net.constant(np.float32(0)), "images"
    for inside in (3, width):
        x = net.conv(x, inside, width, 3)
        gate = net.node("Clip", [net.node("Add", [x, three]), zero, six])
        x = net.node("Div", [net.node("Mul", [x, gate]), six])
    x = net.node("Flatten", [net.node("GlobalAveragePool", [net.conv(x, width, 5)])])
    return net.model({"images": ("N", 3, 12, 12)}, [x])


def hard_sigmoid_net(width: int = 16) -> Any:
    """Hard swishes as the optimizer writes them, and a gate whose hard sigmoid is ONNX's own."""
    net = Net()
    x = net.conv("images", 3, width, 3)
    x = net.node("Mul", [x, net.node("HardSigmoid", [x], "swish", alpha=1 / 6, beta=0.5)])
    gate = net.node("GlobalAveragePool", [x])
    gate = net.node("HardSigmoid", [net.conv(gate, width, width)], "gate")
    x = net.conv(net.node("Mul", [x, gate]), width, 5)
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x])])
    return net.model({"images": ("N", 3, 12, 12)}, [x])


def transformer(width: int = 32, heads: int = 4, layers: int = 1) -> Any:
    """Embedding, attention, a GELU between two products, and the mean over a sequence."""
    net = Net()
    x = net.node("Gather", [net.drawn(50, width), "ids"], "embedding")
    split = net.constant(np.array([0, 0, heads, width // heads], np.int64))
    whole = net.constant(np.array([0, 0, width], np.int64))
    ones, zeros = np.ones(width, np.float32), np.zeros(width, np.float32)
    for _ in range(layers):
        q, k, v = (net.node("Reshape", [net.linear(x, width, width), split]) for _ in "qkv")
        q = net.node("Transpose", [q], perm=[0, 2, 1, 3])
        k = net.node("Transpose", [k], perm=[0, 2, 3, 1])
        v = net.node("Transpose", [v], perm=[0, 2, 1, 3])
        scores = net.node("Softmax", [net.node("MatMul", [q, k])], axis=-1)
        y = net.node("Transpose", [net.node("MatMul", [scores, v])], perm=[0, 2, 1, 3])
        y = net.linear(net.node("Reshape", [y, whole]), width, width)
        y = net.node("Add", [y, x])
        x = net.node("LayerNormalization", [y, net.constant(ones), net.constant(zeros)], axis=-1)
        h = net.linear(x, width, 4 * width)
        root = net.constant(np.float32(1.41421356))
        erf = net.node("Erf", [net.node("Div", [h, root])])
        h = net.node("Mul", [h, net.node("Add", [erf, net.constant(np.float32(1))])])
        h = net.node("Mul", [h, net.constant(np.float32(0.5))])
        y = net.node("Add", [net.linear(h, 4 * width, width), x])
        x = net.node("LayerNormalization", [y, net.constant(ones), net.constant(zeros)], axis=-1)
    x = net.node("ReduceMean", [x], axes=[1], keepdims=0)
    x = net.linear(x, width, 5)
    return net.model({"ids": ("N", "S")}, [x], kinds={"ids": onnx.TensorProto.INT64})


def old_opset(opset: int) -> Any:
    """Two convolutions with a pool between them."""
    net = Net()
    x = net.node("MaxPool", [net.node("Relu", [net.conv("images", 3, 8, 3)])], kernel_shape=[2, 2])
    x = net.node("GlobalAveragePool", [net.node("Relu", [net.conv(x, 8, 5)])])
    return net.model({"images": ("N", 3, 12, 12)}, [x], opset=opset, ir_version=6)


def listed_weights() -> Any:
    """The same in opset 7 and IR 3, which lists weights as inputs."""
    model = old_opset(7)
    model.ir_version = 3
    for tensor in model.graph.initializer:
        info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(info)
    return model


def images(count: int = 32, side: int = 12) -> np.ndarray:
    """Noise around one of four mean colours."""
    rng = np.random.default_rng(1)
    base = rng.normal(size=(4, 3, 1, 1))[np.arange(count) % 4]
    return (base + 0.5 * rng.normal(size=(count, 3, side, side))).astype(np.float32)


class Batches:
    """A dataloader of arrays, or of what ``form`` makes of a batch."""

    def __init__(
        self, inputs: Any, batch_size: int = 8, form: Callable[[Any], Any] = lambda batch: batch
    ) -> None:
        self.inputs, self.batch_size, self.form = inputs, batch_size, form

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for start in range(0, len(self.inputs), self.batch_size):
            yield self.form(self.inputs[start : start + self.batch_size]), None


def agreement(model: Any, feeds: Sequence[dict[str, Any]]) -> Callable[[Any], float]:
    """An evaluation: how near the first output is to FP32's, 1 for the same."""

    def outputs(proto: Any) -> list[np.ndarray]:
        content = proto if isinstance(proto, str) else proto.SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return [session.run(None, feed)[0].astype(np.float64).ravel() for feed in feeds]

    expected = np.concatenate(outputs(model))

    def near(proto: Any) -> float:
        found = np.concatenate(outputs(proto))
        scale = np.linalg.norm(found) * np.linalg.norm(expected)
        return float(found @ expected / scale) if scale else 0.0

    return near


def given(model: Any, loader: Any, feeds: Sequence[dict[str, Any]], loss: float = 0.5) -> Given:
    """Model, data and the agreement with FP32."""
    return Given(model, loader, agreement(model, feeds), Criterion(loss), sampling_sizes=(16,))


def image_net(model: Any | None = None, side: int = 12) -> Given:
    """A model of images, the small MobileNet by default, with data."""
    data = images(side=side)
    return given(model or mobile_net(), Batches(data), [{"images": data}])


def sentence_net() -> Given:
    """The small transformer with sequences of several lengths."""
    rng = np.random.default_rng(2)
    ids = [rng.integers(0, 50, (8, length)) for length in (5, 9, 7)]
    loader = [({"ids": batch}, None) for batch in ids]
    return given(transformer(), loader, [{"ids": batch} for batch in ids])
