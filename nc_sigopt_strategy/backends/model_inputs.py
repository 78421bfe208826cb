"""What a model takes: name, shape and type of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nc_sigopt_strategy.backends.op_graph import Shape


@dataclass(frozen=True)
class ModelInput:
    """One input of a model.

    Attributes:
        name: As the model's own graph has it.
        shape: ``None`` for an axis of any length, and for an input of unknown rank.
        dtype: ``None`` if it is unknown, or nothing that numpy has.
    """

    name: str
    shape: Shape = None
    dtype: np.dtype[Any] | None = None

    def describe(self) -> str:
        """Type and shape in words, such as ``float32 [?, 3, 8, 8]``."""
        return described(self.dtype, self.shape)


def described(dtype: Any, shape: Shape) -> str:
    """A type and a shape in words."""
    if shape is None:
        sizes = "[...]"
    else:
        sizes = f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
    return f"{'anything' if dtype is None else np.dtype(dtype).name} {sizes}"
