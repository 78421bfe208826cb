"""ONNX models, run by ONNX Runtime on the CPU."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from ..files import write_whole
from . import Array, feed_by_position
from .onnx_graph import graph_nodes, inferred_shapes
from .op_graph import Shape, reduce_to_ops

logger = logging.getLogger("nc_sigopt_strategy")


class OnnxRuntimeSession:
    """A model in an inference session of its own."""

    def __init__(self, serialized: bytes) -> None:
        self._session = onnxruntime.InferenceSession(
            serialized, providers=["CPUExecutionProvider"]
        )
        self._inputs = [node.name for node in self._session.get_inputs()]

    def run(self, inputs: Any) -> list[Array]:
        return list(self._session.run(None, feed_by_position(self._inputs, inputs)))

    def close(self) -> None:
        del self._session


class OnnxRuntimeBackend:
    """INC's ONNX models; see ``Backend`` for the contract."""

    name = "onnxruntime"
    model_suffix = ".onnx"

    def open(self, model: Any) -> OnnxRuntimeSession:
        return OnnxRuntimeSession(model.model.SerializeToString())

    def release(self, model: Any) -> None:
        """INC's ONNX models hold no session."""

    def fingerprint(self, model: Any) -> str:
        return hashlib.sha256(model.model.SerializeToString(deterministic=True)).hexdigest()

    def graph_order(self, model: Any) -> Mapping[str, int]:
        # ONNX demands that nodes stand in topological order.
        return {node.name: i for i, node in enumerate(model.model.graph.node)}

    def op_graph(self, model: Any, ops: Sequence[tuple[str, str]]) -> dict[str, Any]:
        shapes: dict[str, Shape] = {}
        try:
            shapes = inferred_shapes(model.model)
        except Exception as error:  # sizes only help a sampler: a run does without them
            logger.debug("No shapes for the op graph: %s", error)
        return reduce_to_ops(graph_nodes(model.model, shapes), shapes, ops)

    def save(self, model: Any, path: Path) -> Path:
        return write_whole(path.with_suffix(self.model_suffix), model.model.SerializeToString())
