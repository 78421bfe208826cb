"""An ONNX model as the hosts without INC hand it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class OnnxModel:
    """A model that ``OnnxRuntimeBackend`` runs, fingerprints and saves.

    Attributes:
        model: A ``ModelProto`` with its weights.
        parts: Node to the op that it is chosen a type with; others go with the op before them.
    """

    model: Any
    parts: Mapping[str, str] = field(default_factory=dict)
