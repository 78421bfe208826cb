"""An ONNX model as the hosts without INC hand it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class OnnxModel:
    """A model that ``OnnxRuntimeBackend`` runs, fingerprints and saves.

    Attributes:
        model: A ``ModelProto`` with its weights.
    """

    model: Any
