"""How a model is to be opened: what a deployment of it would have to know."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Deployed:
    """A model file with its runtime and the way in which it is run.

    Attributes:
        runtime: ``tensorflow``, ``onnxruntime`` or ``openvino``.
        path: Of the model.
        inputs: Names of the input ops; only a frozen graph needs them.
        outputs: Names of the output ops, likewise.
        threads: 0: as many as the runtime takes by itself.
        options: Of the runtime. TensorFlow: ``bf16`` (rewrite the graph in bfloat16). ONNX
            Runtime: those of the setting ``onnxruntime_session_options``, and
            ``session_config_entries``. OpenVINO: properties of ``compile_model``.
        python: The environment's Python; ``None``: this one.
        suffix: Tells the rows of one strategy apart; empty for its first.
        what: What the model is, in words.
    """

    runtime: str
    path: Path
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    threads: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    python: str | None = None
    suffix: str = ""
    what: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**dataclasses.asdict(self), "path": str(self.path)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Deployed:
        """The inverse of ``to_json``."""
        ends = {name: tuple(raw[name]) for name in ("inputs", "outputs")}
        return cls(**{**raw, **ends, "path": Path(raw["path"])})
