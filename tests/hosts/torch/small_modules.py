"""Small PyTorch modules, and data for them. Each compilation costs seconds, so they are tiny."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

SIZE = 8


class Batches:
    """A dataloader of batches with labels."""

    def __init__(self, batches: Sequence[Any]) -> None:
        self.batches = list(batches)

    def __iter__(self) -> Any:
        return iter([(batch, np.zeros(4)) for batch in self.batches])


class Residual(nn.Module):
    """Convolution with batch norm, depthwise, pointwise with a residual add, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        x = self.act(self.norm(self.stem(x)))
        y = self.pointwise(nn.functional.relu6(self.depthwise(x)))
        y = nn.functional.max_pool2d(self.act(x + y), 2)
        return self.head(y.mean((2, 3)))


class Attention(nn.Module):
    """One block of a transformer on tokens, called by the names of its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 16)
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.norm = nn.LayerNorm(16)
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        x = self.embedding(input_ids)
        weights = self.query(x) @ self.key(x).transpose(1, 2) / 4
        weights = weights.masked_fill(attention_mask[:, None, :] == 0, -1e4)
        x = self.norm(x + torch.softmax(weights, -1) @ self.value(x))
        return {"logits": self.down(nn.functional.gelu(self.up(x)).mean(1))}


def residual() -> nn.Module:
    torch.manual_seed(0)
    module = Residual()
    module(torch.randn(16, 3, SIZE, SIZE))  # statistics for the batch norm
    return module.eval()


def attention() -> nn.Module:
    torch.manual_seed(0)
    return Attention().eval()


def images(count: int = 2, batch: int = 4) -> Batches:
    draw = np.random.default_rng(1).normal(size=(count, batch, 3, SIZE, SIZE))
    return Batches(list(draw.astype(np.float32)))


def sequences(count: int = 2, batch: int = 4) -> Batches:
    draw = np.random.default_rng(1).integers(0, 20, size=(count, batch, 6))
    mask = np.ones((batch, 6), np.int64)
    mask[:, 5] = 0
    return Batches([{"input_ids": ids, "attention_mask": mask} for ids in draw])
