"""Paddings that convolutions do themselves."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torchao", reason="PyTorch with torchao is not installed: make test-torch")

import torch
from torch import nn

from nc_sigopt_strategy.hosts.torch.paddings import fold_paddings

F = nn.functional


class Padded(nn.Module):
    """A padding, and what reads it."""

    def __init__(self, pad: Any, **conv: Any) -> None:
        super().__init__()
        self.pad, self.conv = pad, nn.Conv2d(3, 6, 3, **conv)

    def forward(self, x: Any) -> Any:
        return self.conv(self.pad(x))


class ReadTwice(Padded):
    """The padded values are also read by an addition."""

    def forward(self, x: Any) -> Any:
        padded = self.pad(x)
        return self.conv(padded).sum() + padded


IMAGES = torch.randn(2, 3, 9, 11)
FOLDED = {
    "module": Padded(nn.ZeroPad2d(1)),
    "rows and columns": Padded(nn.ZeroPad2d((2, 2, 1, 1)), stride=2, groups=3),
    "beside its own": Padded(nn.ZeroPad2d(1), padding=(1, 2), dilation=2),
    "columns": Padded(lambda x: F.pad(x, (3, 3))),
    "constant": Padded(lambda x: torch.constant_pad_nd(x, (1, 1, 2, 2), 0.0)),
}
KEPT = {
    "unequal": Padded(nn.ZeroPad2d((0, 1, 0, 1))),
    "no zeros": Padded(nn.ConstantPad2d(1, 1.0)),
    "reflected": Padded(nn.ReflectionPad2d(1)),
    "cut off": Padded(nn.ZeroPad2d(-1)),
    "channels": Padded(lambda x: F.pad(x[:, :1], (1, 1, 1, 1, 1, 1))),
    "read twice": ReadTwice(nn.ZeroPad2d(1)),
}


def folded(module: Any) -> tuple[int, Any, Any]:
    graph = torch.export.export(module.eval(), (IMAGES,)).module(check_guards=False)
    before = graph(IMAGES)
    return fold_paddings(graph), before, graph


@pytest.mark.parametrize("module", FOLDED.values(), ids=FOLDED)
def test_zeros_become_the_convolutions_own(module: Any) -> None:
    count, before, graph = folded(module)
    assert count == 1
    assert not any("pad" in str(node.target) for node in graph.graph.nodes)
    torch.testing.assert_close(graph(IMAGES), before)


@pytest.mark.parametrize("module", KEPT.values(), ids=KEPT)
def test_other_paddings_stay(module: Any) -> None:
    count, before, graph = folded(module)
    assert count == 0
    torch.testing.assert_close(graph(IMAGES), before)
