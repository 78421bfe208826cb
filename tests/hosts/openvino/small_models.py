"""Small models of OpenVINO's, and data for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SIZE = 16


class Batches:
    """A dataloader of batches of one array, with labels."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays = list(arrays)

    def __iter__(self) -> Any:
        return iter([(array, np.zeros(len(array))) for array in self.arrays])


def images(count: int = 4, batch: int = 4, channels: int = 3) -> Batches:
    draw = np.random.default_rng(1).normal(size=(count, batch, channels, SIZE, SIZE))
    return Batches(draw.astype(np.float32))


class Net:
    """Builds a model op by op, with weights from one seed."""

    def __init__(self, seed: int = 0) -> None:
        from openvino import opset13

        self.op = opset13
        self.draw = np.random.default_rng(seed)

    def weights(self, *shape: int) -> Any:
        fan_in = max(1, int(np.prod(shape[1:])))
        return self.op.constant(
            (self.draw.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)
        )

    def conv(self, given: Any, wanted: int, name: str) -> Any:
        """Convolution, bias and ReLU."""
        channels = given.get_output_partial_shape(0)[1].get_length()
        made = self.op.convolution(
            given, self.weights(wanted, channels, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1], name=name
        )
        return self.op.relu(self.bias(made, wanted, name), name=f"{name}/relu")

    def depthwise(self, given: Any, name: str) -> Any:
        channels = given.get_output_partial_shape(0)[1].get_length()
        made = self.op.group_convolution(
            given, self.weights(channels, 1, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1], name=name
        )
        return self.op.relu(self.bias(made, channels, name), name=f"{name}/relu")

    def bias(self, given: Any, channels: int, name: str) -> Any:
        return self.op.add(given, self.weights(1, channels, 1, 1), name=f"{name}/bias")

    def dense(self, given: Any, wanted: int, name: str) -> Any:
        depth = given.get_output_partial_shape(0)[-1].get_length()
        made = self.op.matmul(given, self.weights(depth, wanted), False, False, name=name)
        return self.op.add(made, self.weights(1, wanted), name=f"{name}/bias")

    def pooled(self, given: Any) -> Any:
        axes = self.op.constant(np.array([2, 3]))
        return self.op.reduce_mean(given, axes, keep_dims=False, name="pool")

    def input(self, *shape: int, name: str = "x") -> Any:
        given = self.op.parameter(list(shape), np.float32, name=name)
        given.output(0).get_tensor().set_names({name})
        return given

    def model(self, outputs: Any, inputs: Any) -> Any:
        import openvino as ov

        outputs = outputs if isinstance(outputs, list) else [outputs]
        inputs = inputs if isinstance(inputs, list) else [inputs]
        return ov.Model(outputs, inputs, "small")


def chain(batch: int = -1) -> Any:
    """Convolutions, a depthwise one among them, and a dense layer."""
    net = Net()
    given = net.input(batch, 3, SIZE, SIZE)
    made = net.conv(given, 16, "first")
    made = net.depthwise(made, "depthwise")
    made = net.conv(made, 24, "pointwise")
    return net.model(net.dense(net.pooled(made), 10, "logits"), given)


def residual() -> Any:
    """Two blocks with an Add of what came in."""
    net = Net()
    given = net.input(-1, 3, SIZE, SIZE)
    made = net.conv(given, 16, "stem")
    for block in ("block1", "block2"):
        inner = net.conv(net.conv(made, 16, f"{block}/a"), 16, f"{block}/b")
        made = net.op.add(made, inner, name=f"{block}/add")
    return net.model(net.dense(net.pooled(made), 10, "logits"), given)


def attention() -> Any:
    """One head of self-attention on a sequence, and a dense layer."""
    net = Net()
    given = net.input(-1, SIZE, 32)
    query, key, value = (net.dense(given, 32, name) for name in ("query", "key", "value"))
    scores = net.op.matmul(query, key, False, True, name="scores")
    shares = net.op.softmax(scores, 2, name="shares")
    made = net.op.matmul(shares, value, False, False, name="mixed")
    made = net.op.add(given, net.dense(made, 32, "out"), name="residual")
    return net.model(net.dense(made, 10, "logits"), given)


def sequences(count: int = 4, batch: int = 4) -> Batches:
    draw = np.random.default_rng(1).normal(size=(count, batch, SIZE, 32))
    return Batches(draw.astype(np.float32))


def agreement(model: Any, data: Batches) -> Any:
    """An evaluation: share of inputs on which a compiled model names the float model's class."""
    import openvino as ov

    reference = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    labels = [reference(array)[0].argmax(axis=-1) for array in data.arrays]

    def evaluate(compiled: Any) -> float:
        pairs = zip(data.arrays, labels, strict=True)
        return float(np.mean([compiled(a)[0].argmax(axis=-1) == label for a, label in pairs]))

    return evaluate
