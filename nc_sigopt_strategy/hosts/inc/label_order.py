"""In which order a dataloader gives its inputs, seen by their labels."""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

# Neighbours differ this much less often than in a random order: then the order is not random.
BLOCKS = 0.5


def label_key(label: Any) -> int:
    """A number for one input's label, whatever it is; equal ones have the same."""
    if isinstance(label, np.ndarray):
        return zlib.crc32(np.ascontiguousarray(label).tobytes())
    if isinstance(label, (list, tuple)):
        return zlib.crc32(repr([label_key(part) for part in label]).encode())
    return zlib.crc32(repr(label).encode())


def is_in_blocks(keys: Sequence[int]) -> bool:
    """Whether inputs of one label stand together, so that the first ones are not like the others.

    Args:
        keys: ``label_key`` of each input, in order.
    """
    count = len(keys)
    if count < 2:
        return False
    alike = sum((number / count) ** 2 for number in Counter(keys).values())
    changes = sum(a != b for a, b in itertools.pairwise(keys))
    return alike < 1.0 and changes / (count - 1) < BLOCKS * (1.0 - alike)
