"""The graph that is written for EfficientNet-Lite's weights, on a tiny one of two blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nc_sigopt_benchmarks.models.efficientnet_lite import LiteRecipe, efficientnet_lite
from nc_sigopt_strategy.errors import ModelError

onnxruntime = pytest.importorskip("onnxruntime")

SIZE, CLASSES = 9, 5
RECIPE = LiteRecipe(image_size=SIZE, strides=(1, 2, 1))
RNG = np.random.default_rng(0)


def norm(name: str, channels: int) -> dict[str, Any]:
    return {
        f"{name}.weight": RNG.uniform(0.5, 1.5, channels),
        f"{name}.bias": RNG.normal(size=channels),
        f"{name}.running_mean": RNG.normal(size=channels),
        f"{name}.running_var": RNG.uniform(0.5, 1.5, channels),
    }


def kernel(*shape: int) -> Any:
    return RNG.normal(size=shape) / np.sqrt(np.prod(shape[1:]))


def weights() -> dict[str, Any]:
    """A first block without expansion, one that halves, and one that adds its input."""
    found = {"_conv_stem.weight": kernel(4, 3, 3, 3), **norm("_bn0", 4)}
    blocks = [(4, 4, 6, 3, False), (6, 12, 8, 5, True), (8, 16, 8, 3, True)]
    for number, (taken, wide, given, side, expands) in enumerate(blocks):
        start = f"_blocks.{number}."
        if expands:
            found |= {f"{start}_expand_conv.weight": kernel(wide, taken, 1, 1)}
            found |= norm(f"{start}_bn0", wide)
        found |= {f"{start}_depthwise_conv.weight": kernel(wide, 1, side, side)}
        found |= {f"{start}_project_conv.weight": kernel(given, wide, 1, 1)}
        found |= norm(f"{start}_bn1", wide) | norm(f"{start}_bn2", given)
    found |= {"_conv_head.weight": kernel(16, 8, 1, 1), **norm("_bn1", 16)}
    return found | {"_fc.weight": kernel(CLASSES, 16), "_fc.bias": RNG.normal(size=CLASSES)}


class Reference:
    """The network in plain loops: padding "same", then batch normalization as it is defined."""

    def __init__(self, of: dict[str, Any]) -> None:
        self.of = of

    def conv(self, image: Any, conv: str, norm: str, stride: int = 1) -> Any:
        kernel = self.of[f"{conv}.weight"]
        side, out = kernel.shape[-1], -(-image.shape[-1] // stride)
        total = max((out - 1) * stride + side - image.shape[-1], 0)
        before = total // 2
        image = np.pad(image, [(0, 0), *[(before, total - before)] * 2])
        found = np.empty((len(kernel), out, out))
        for channel, weight in enumerate(kernel):
            read = image[channel : channel + 1] if kernel.shape[1] == 1 else image
            for row in range(out):
                for column in range(out):
                    top, left = row * stride, column * stride
                    window = read[:, top : top + side, left : left + side]
                    found[channel, row, column] = (window * weight).sum()
        mean, variance, scale, shift = (
            self.of[f"{norm}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (found - mean) / np.sqrt(variance + 1e-3) * scale + shift

    def __call__(self, image: Any) -> Any:
        value = np.clip(self.conv(image, "_conv_stem", "_bn0", 2), 0, 6)
        for number, stride in enumerate(RECIPE.strides):
            start, before = f"_blocks.{number}.", value
            if f"{start}_expand_conv.weight" in self.of:
                value = np.clip(self.conv(value, f"{start}_expand_conv", f"{start}_bn0"), 0, 6)
            depthwise = self.conv(value, f"{start}_depthwise_conv", f"{start}_bn1", stride)
            value = self.conv(np.clip(depthwise, 0, 6), f"{start}_project_conv", f"{start}_bn2")
            if number == 2:
                value = value + before
        head = np.clip(self.conv(value, "_conv_head", "_bn1"), 0, 6)
        return self.of["_fc.weight"] @ head.mean(axis=(1, 2)) + self.of["_fc.bias"]


def test_it_computes_what_the_network_is_defined_as() -> None:
    made = weights()
    images = RNG.normal(size=(2, 3, SIZE, SIZE)).astype(np.float32)
    model = efficientnet_lite(made, RECIPE)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (logits,) = session.run(None, {"input": images})
    assert np.allclose(logits, [Reference(made)(image) for image in images], atol=1e-4)
    assert [node.op_type for node in model.graph.node].count("Add") == 1


@pytest.mark.parametrize("lost", ["_fc.bias", "_blocks.1._bn1.running_var", "_conv_head.weight"])
def test_missing_weights_are_named(lost: str) -> None:
    made = weights()
    del made[lost]
    with pytest.raises(ModelError, match=f"have no {lost}"):
        efficientnet_lite(made, RECIPE)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ModelError, match=r"of 3 blocks, EfficientNet-Lite0 has 16"):
        efficientnet_lite(weights())
