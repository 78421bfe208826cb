"""What a one-shot strategy gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OneShot:
    """A model that was built at once.

    Attributes:
        model_object: What an ``eval_func`` gets.
        serialized: Content of its file.
        recipe: What Neural Compressor rebuilds it from; ``None`` if it made none.
    """

    model_object: Any
    serialized: bytes
    recipe: Mapping[str, Any] | None = None
