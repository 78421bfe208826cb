"""EfficientNet-Lite0 as an ONNX model, from the weights of its PyTorch version.

M. Tan, Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML
2019, table 1, without squeeze-and-excitation and with ReLU6, as the Lite variants are
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite). Batch
normalization is folded into the convolutions, as exporters do it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.models.onnx_building import GraphWriter
from nc_sigopt_strategy.errors import ModelError

Array = npt.NDArray[Any]

INPUT, OUTPUT = "input", "logits"
_BATCH_NORM_EPSILON = 1e-3
_OPSET = 13


@dataclass(frozen=True)
class LiteRecipe:
    """What the weights do not say.

    Attributes:
        image_size: Side of the images in pixels; decides where TensorFlow's padding "same" goes.
        strides: Of each block.
        stem_stride: Of the first convolution.
    """

    image_size: int = 224
    strides: tuple[int, ...] = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
    stem_stride: int = 2


def efficientnet_lite(weights: Mapping[str, Array], recipe: LiteRecipe | None = None) -> Any:
    """The ``ModelProto``: images (batch, 3, size, size) in, logits (batch, classes) out.

    Args:
        weights: Of PyTorch's version: ``_conv_stem.weight``, ``_blocks.0._bn1.bias``, ...
        recipe: Strides and size; those of Lite0 when ``None``.

    Raises:
        ModelError: Weights are missing, or are those of another network.
    """
    writer = _LiteWriter(weights, recipe or LiteRecipe())
    return writer.written()


class _LiteWriter:
    def __init__(self, weights: Mapping[str, Array], recipe: LiteRecipe) -> None:
        self._weights, self._recipe = weights, recipe
        self._graph = GraphWriter("efficientnet_lite", _OPSET)
        self._zero = self._graph.constant("zero", 0.0)
        self._six = self._graph.constant("six", 6.0)
        self._size = recipe.image_size

    def written(self) -> Any:
        recipe = self._recipe
        blocks = {name.split(".")[1] for name in self._weights if name.startswith("_blocks.")}
        if len(blocks) != len(recipe.strides):
            raise ModelError(
                f"The weights are of {len(blocks)} blocks, EfficientNet-Lite0 has "
                f"{len(recipe.strides)}.",
                "Give the weights of Lite0.",
            )
        value = self._convolution(INPUT, "_conv_stem", "_bn0", recipe.stem_stride)
        value = self._relu6(value, "stem")
        for number, stride in enumerate(recipe.strides):
            value = self._block(value, f"_blocks.{number}.", stride)
        value = self._relu6(self._convolution(value, "_conv_head", "_bn1"), "head")
        value = self._graph.add("GlobalAveragePool", [value], "pool")
        value = self._graph.add("Flatten", [value], "flatten")
        head = [self._graph.constant(f"_fc.{part}", self._of(f"_fc.{part}"))
                for part in ("weight", "bias")]  # fmt: skip
        value = self._graph.add("Gemm", [value, *head], "classifier", transB=1)
        image = ("batch", 3, recipe.image_size, recipe.image_size)
        classes = len(self._of("_fc.bias"))
        return self._graph.model({INPUT: (np.float32, image)}, value, (OUTPUT, ("batch", classes)))

    def _block(self, value: str, prefix: str, stride: int) -> str:
        """Expand (but for the first), filter each channel, project; add the input if alike."""
        start = value
        if f"{prefix}_expand_conv.weight" in self._weights:
            value = self._convolution(value, f"{prefix}_expand_conv", f"{prefix}_bn0")
            value = self._relu6(value, f"{prefix}expand")
        value = self._convolution(value, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride)
        value = self._relu6(value, f"{prefix}depthwise")
        value = self._convolution(value, f"{prefix}_project_conv", f"{prefix}_bn2")
        first = self._of(f"{prefix}_expand_conv.weight", f"{prefix}_depthwise_conv.weight")
        channels_in = first.shape[1] if first.shape[1] > 1 else first.shape[0]
        channels_out = self._of(f"{prefix}_project_conv.weight").shape[0]
        if stride == 1 and channels_in == channels_out:
            return self._graph.add("Add", [value, start], f"{prefix}add")
        return value

    def _convolution(self, value: str, conv: str, norm: str, stride: int = 1) -> str:
        kernel = self._of(f"{conv}.weight").astype(np.float64)
        mean, variance, scale, shift = (
            self._of(f"{norm}.{part}").astype(np.float64)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        factor = scale / np.sqrt(variance + _BATCH_NORM_EPSILON)
        weight = self._graph.constant(f"{conv}.weight", kernel * factor[:, None, None, None])
        bias = self._graph.constant(f"{conv}.bias", shift - mean * factor)
        side = kernel.shape[-1]
        before, after = _same_padding(self._size, side, stride)
        self._size = -(-self._size // stride)
        return self._graph.add(
            "Conv",
            [value, weight, bias],
            conv,
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[before, before, after, after],
            # A filter for each channel where a kernel reads one and there are more.
            group=kernel.shape[0] if kernel.shape[1] == 1 else 1,
        )

    def _relu6(self, value: str, name: str) -> str:
        return self._graph.add("Clip", [value, self._zero, self._six], f"{name}_relu6")

    def _of(self, *names: str) -> Array:
        for name in names:
            if name in self._weights:
                return self._weights[name]
        raise ModelError(
            f"The weights have no {' and no '.join(names)}.", "Give the weights of Lite0."
        )


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, as TensorFlow's padding "same" has them."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
