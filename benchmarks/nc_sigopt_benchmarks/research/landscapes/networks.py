"""Shapes of networks for synthetic landscapes: ops with their sizes, and who reads whom.

Sizes follow the papers: MobileNet_v1 (Howard et al., 2017, table 1), ResNet-50 (He et al., 2015,
table 1). The branched network is made up after GoogLeNet's pattern (Szegedy et al., 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Op:
    """One quantizable op.

    Attributes:
        name: Its parameter's name.
        op_type: As in an experiment's op graph.
        multiply_adds: For one input.
        output_elements: For one input.
        weight_elements: Of its kernel.
    """

    name: str
    op_type: str
    multiply_adds: float
    output_elements: float
    weight_elements: float


@dataclass
class Network:
    """Ops in graph order and edges (producer, consumer) by position."""

    ops: list[Op] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)

    def add(
        self, op_type: str, shape: tuple[int, int, int, int], reads: Sequence[int], stride: int = 1
    ) -> int:
        """Append an op and return its position.

        Args:
            op_type: ``conv2d``, ``depthwise_conv2d``, ``pooling`` or ``matmul``.
            shape: (input side, input channels, output channels, kernel side).
            reads: Positions of the ops whose outputs it takes.
            stride: Of its window.
        """
        side, channels_in, channels_out, kernel = shape
        out = max(1, side // stride)
        elements = float(out * out * channels_out)
        per_output = kernel * kernel
        if op_type in ("conv2d", "matmul"):
            per_output *= channels_in
        weights = 0.0
        if op_type != "pooling":
            weights = float(per_output * channels_out)
        position = len(self.ops)
        name = f"{op_type}_{position:03d}"
        self.ops.append(Op(name, op_type, elements * per_output, elements, weights))
        self.edges.extend((producer, position) for producer in dict.fromkeys(reads))
        return position

    def op_graph(self) -> dict[str, Any]:
        """The record that an experiment keeps of these ops."""
        return {
            "parameters": [
                {
                    "name": op.name,
                    "op_type": op.op_type,
                    "multiply_adds": op.multiply_adds,
                    "output_elements": op.output_elements,
                    "weight_elements": op.weight_elements,
                }
                for op in self.ops
            ],
            "edges": [
                [self.ops[i].name, self.ops[j].name, self.ops[i].output_elements]
                for i, j in self.edges
            ],
        }


def depthwise_chain(blocks: int = 13) -> Network:
    """MobileNet_v1's pattern: 3 + 2 x ``blocks`` ops in one chain."""
    network = Network()
    last = network.add("conv2d", (224, 3, 32, 3), (), 2)
    side, channels = 112, 32
    wider = {0: 64, 1: 128, 3: 256, 5: 512, 11: 1024}
    for block in range(blocks):
        stride = 2 if block in (1, 3, 5, 11) else 1
        last = network.add("depthwise_conv2d", (side, channels, channels, 3), (last,), stride)
        side //= stride
        out = wider.get(block, channels)
        last = network.add("conv2d", (side, channels, out, 1), (last,))
        channels = out
    last = network.add("pooling", (side, channels, channels, side), (last,), side)
    network.add("matmul", (1, channels, 1000, 1), (last,))
    return network


def residual(stages: Sequence[int] = (3, 4, 6, 3)) -> Network:
    """ResNet-50's pattern: bottleneck blocks with shortcuts; 54 ops with the default stages."""
    network = Network()
    sources = [network.add("conv2d", (224, 3, 64, 7), (), 4)]
    side, channels, width = 56, 64, 64
    for stage, blocks in enumerate(stages):
        for block in range(blocks):
            stride = 2 if stage and block == 0 else 1
            first = network.add("conv2d", (side, channels, width, 1), sources, stride)
            shortcut = sources
            if block == 0:
                shape = (side, channels, 4 * width, 1)
                shortcut = [network.add("conv2d", shape, sources, stride)]
            side //= stride
            second = network.add("conv2d", (side, width, width, 3), (first,))
            third = network.add("conv2d", (side, width, 4 * width, 1), (second,))
            # The sum of both is what the next block reads; older sums reach on through it.
            sources = [third, *shortcut[:1]]
            channels = 4 * width
        width *= 2
    network.add("matmul", (1, channels, 1000, 1), sources)
    return network


def branched(blocks: int = 9) -> Network:
    """Blocks of four parallel branches whose outputs are joined: 2 + 6 x ``blocks`` ops."""
    network = Network()
    sources = [network.add("conv2d", (224, 3, 64, 7), (), 8)]
    side, channels = 28, 64
    for block in range(blocks):
        if block in (3, 6):
            side //= 2
        width = 32 * (1 + block // 2)
        branches = [
            network.add("conv2d", (side, channels, width, 1), sources),
            network.add("conv2d", (side, channels, width, 1), sources),
            network.add("conv2d", (side, channels, width // 2, 1), sources),
        ]
        branches[1] = network.add("conv2d", (side, width, 2 * width, 3), (branches[1],))
        branches[2] = network.add("conv2d", (side, width // 2, width, 5), (branches[2],))
        # A join lets a change of type through only once here: the widest branch stands for it.
        sources = [network.add("pooling", (side, 4 * width, 4 * width, 1), branches)]
        channels = 4 * width
    network.add("matmul", (1, channels, 1000, 1), sources)
    return network


def total(network: Network, name: str) -> float:
    """Sum of a size over all ops."""
    return float(np.sum([getattr(op, name) for op in network.ops]))
