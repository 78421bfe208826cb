"""Second moments of what weights are multiplied with, gathered from calibration data."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView

Array = NDArray[Any]

# Products of inputs are added up over so many places of a layer at most, and a few times as many
# as a sum has weights.
_PLACES, _PLACES_PER_WEIGHT = 8192, 4
# A layer with more weights in a sum is left out: its second moments would take too much memory.
LONGEST_SUM = 8192


@dataclass(frozen=True)
class Layer:
    """A weight in the one node that reads it, seen as rows of sums.

    Attributes:
        node: Its node.
        weight: Its initializer.
        shape: Of the weight.
        groups: In how many parts inputs and outputs fall that have nothing to do with each other.
        axis: Of the channels.
    """

    node: str
    weight: str
    shape: tuple[int, ...]
    groups: int = 1
    axis: int = 0

    @property
    def count(self) -> int:
        """Weights of a sum."""
        return int(np.prod(self.shape)) // self.shape[self.axis]

    def rows(self, weight: Array) -> Array:
        """A weight, or what belongs to its elements, as (groups, sums, weights of a sum)."""
        turned = np.moveaxis(weight, self.axis, 0)
        return turned.reshape(self.groups, self.shape[self.axis] // self.groups, self.count)

    def unrows(self, rows: Array) -> Array:
        """The inverse of ``rows``."""
        rest = [size for i, size in enumerate(self.shape) if i != self.axis]
        return np.moveaxis(rows.reshape(self.shape[self.axis], *rest), 0, self.axis)


@dataclass
class Moments:
    """Second moments of one layer's inputs.

    Attributes:
        total: Sums of products, (groups, weights of a sum, the same).
        seen: Over how many places.
    """

    total: Array
    seen: int = 0
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def add(self, view: GraphView, layer: Layer, values: Array, share: float) -> None:
        """Take up the inputs of one batch.

        Args:
            view: Of the model.
            layer: Whose input it is.
            values: That input.
            share: Of all inputs, which are in this batch.
        """
        limit = max(_PLACES, _PLACES_PER_WEIGHT * layer.count)
        inputs = _inputs(view, layer, values, max(int(limit * share), 1), self._rng)
        if inputs is None or not np.isfinite(inputs).all():
            return
        self.total += np.matmul(inputs.transpose(0, 2, 1), inputs)
        self.seen += inputs.shape[1]


def layer_of(view: GraphView, node: str, weight: str) -> Layer | None:
    """A weight as a layer; ``None`` for one whose sums are not known here.

    Args:
        view: The model.
        node: The node that reads it.
        weight: Its initializer.
    """
    kind = view.nodes[node].op_type
    shape = tuple(view.constants[weight].dims)
    if kind == "Conv":
        layer = Layer(node, weight, shape, view.attribute(node, "group", 1))
    elif kind == "Gemm":
        if view.attribute(node, "transA", 0):
            return None
        layer = Layer(node, weight, shape, axis=0 if view.attribute(node, "transB", 0) else 1)
    else:
        if len(shape) != 2 or view.nodes[node].input[1] != weight:
            return None
        layer = Layer(node, weight, shape, axis=1)
    return layer if 1 < layer.count <= LONGEST_SUM else None


def _inputs(
    view: GraphView, layer: Layer, values: Array, limit: int, rng: np.random.Generator
) -> Array | None:
    """What is multiplied with the weights at some places; (groups, places, weights of a sum)."""
    if view.nodes[layer.node].op_type == "Conv":
        return _patches(view, layer, values, limit, rng)
    flat = values.reshape(-1, values.shape[-1])
    if flat.shape[1] != layer.count or not len(flat):
        return None
    return np.asarray(flat[_some(len(flat), limit, rng)], np.float32)[None]


def _patches(
    view: GraphView, layer: Layer, values: Array, limit: int, rng: np.random.Generator
) -> Array | None:
    kernel = layer.shape[2:]
    axes = len(kernel)
    strides = list(view.attribute(layer.node, "strides", [1] * axes))
    dilations = list(view.attribute(layer.node, "dilations", [1] * axes))
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    pads = _pads(view, layer.node, values.shape[2:], reach, strides)
    padded = np.pad(values, [(0, 0), (0, 0), *pads])
    if any(size < wide for size, wide in zip(padded.shape[2:], reach, strict=True)):
        return None
    view_of: Any = np.lib.stride_tricks.sliding_window_view
    windows = view_of(padded, tuple(reach), tuple(range(2, 2 + axes)))
    strided = tuple(slice(None, None, step) for step in strides)
    dilated = tuple(slice(None, None, step) for step in dilations)
    picked = (slice(None), slice(None), *strided, *dilated)
    windows = windows[picked]
    counts = (windows.shape[0], *windows.shape[2 : 2 + axes])
    places = np.unravel_index(_some(int(np.prod(counts)), limit, rng), counts)
    # The places come first in the result, as they do wherever a slice stands between them.
    picked_places = (places[0], slice(None), *places[1:])
    chosen = windows[picked_places]
    grouped = chosen.reshape(len(chosen), layer.groups, layer.count)
    return np.asarray(grouped.transpose(1, 0, 2), np.float32)


def _pads(
    view: GraphView,
    node: str,
    sizes: tuple[int, ...],
    reach: list[int],
    strides: list[int],
) -> list[tuple[int, int]]:
    axes = len(sizes)
    automatic = view.attribute(node, "auto_pad", b"NOTSET")
    if automatic in (b"NOTSET", b""):
        given = list(view.attribute(node, "pads", [0] * (2 * axes)))
        return list(zip(given[:axes], given[axes:], strict=True))
    if automatic == b"VALID":
        return [(0, 0)] * axes
    found = []
    for size, wide, step in zip(sizes, reach, strides, strict=True):
        missing = max((-(-size // step) - 1) * step + wide - size, 0)
        less, more = missing // 2, missing - missing // 2
        found.append((less, more) if automatic == b"SAME_UPPER" else (more, less))
    return found


def _some(count: int, limit: int, rng: np.random.Generator) -> Array:
    return np.arange(count) if count <= limit else np.sort(rng.choice(count, limit, False))


def in_parts(layers: Mapping[str, Layer], limit: int) -> list[list[str]]:
    """Names of layers in parts whose second moments have so many elements at most."""
    parts: list[list[str]] = [[]]
    sizes = {name: layer.groups * layer.count**2 for name, layer in layers.items()}
    taken = 0
    for name, size in sizes.items():
        if parts[-1] and taken + size > limit:
            parts.append([])
            taken = 0
        parts[-1].append(name)
        taken += size
    return list(itertools.filterfalse(lambda part: not part, parts))
