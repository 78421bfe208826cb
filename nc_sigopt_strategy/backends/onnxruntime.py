"""ONNX models, run by ONNX Runtime on the CPU."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from nc_sigopt_strategy.backends.backend import Array, feed_by_position
from nc_sigopt_strategy.backends.onnx_files import digest_of_model, loadable, write_model
from nc_sigopt_strategy.backends.onnx_graph import graph_nodes, known_shapes
from nc_sigopt_strategy.backends.onnx_inputs import session_inputs
from nc_sigopt_strategy.backends.onnx_kept_fp32 import THE_SWITCH, is_rewritten, keep_fp32
from nc_sigopt_strategy.backends.onnx_profile import op_times, profiled
from nc_sigopt_strategy.backends.onnx_ran_as import ran_as, stem
from nc_sigopt_strategy.backends.op_graph import reduce_to_ops
from nc_sigopt_strategy.backends.op_times import OpNames, OpTimes
from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.settings.session_options import (
    LEVEL_KEY,
    SPINNING_KEY,
    THREAD_KEYS,
    checked_session_options,
)

logger = logging.getLogger("nc_sigopt_strategy")


_LEVELS = {
    "disable": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


_SPINNING_ENTRIES = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")


class OnnxRuntimeSession:
    """A model in an inference session of its own.

    Args:
        model: A serialized model, or the path of a file.
        options: Of the session; ``None`` for ONNX Runtime's defaults.

    Attributes:
        inputs: What the model takes.
    """

    def __init__(
        self, model: bytes | str, options: onnxruntime.SessionOptions | None = None
    ) -> None:
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.inputs = session_inputs(self._session)
        self._names = [known.name for known in self.inputs]

    def run(self, inputs: Any) -> list[Array]:
        """See ``ModelSession``."""
        outputs = self._session.run(None, feed_by_position(self._names, inputs))
        # A classifier may also give a list of maps (ZipMap), which holds nothing to compare.
        return [output for output in outputs if isinstance(output, np.ndarray)]

    def close(self) -> None:
        """See ``ModelSession``."""
        del self._session


def session_options(mapping: Mapping[str, Any] | None) -> onnxruntime.SessionOptions:
    """ONNX Runtime's form of the setting ``onnxruntime_session_options``.

    Args:
        mapping: ``intra_op_num_threads`` and ``inter_op_num_threads`` (at least 0; 0 and absent:
            ONNX Runtime decides) and ``graph_optimization_level`` (``disable``, ``basic``,
            ``extended`` or ``all``). Several inter-op threads also make the session run
            independent ops in parallel, without which they would have no effect.
            ``allow_spinning`` makes threads spin while they wait, which is ONNX Runtime's default
            and not ours: a session's threads go on spinning after its run and slow down the next
            model that is timed (``benchmarks/scripts/session_spinning.py``).

    Raises:
        SettingsError: An unknown option, or a value out of range.
    """
    given = checked_session_options("onnxruntime_session_options", mapping) or {}
    options = onnxruntime.SessionOptions()
    for name in THREAD_KEYS:
        setattr(options, name, given.get(name, 0))
    if given.get("inter_op_num_threads", 0) > 1:
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    if LEVEL_KEY in given:
        options.graph_optimization_level = _LEVELS[given[LEVEL_KEY]]
    if not given.get(SPINNING_KEY, False):
        for key in _SPINNING_ENTRIES:
            options.add_session_config_entry(key, "0")
    return options


def open_onnx_model(
    path_or_bytes: Path | bytes, options: onnxruntime.SessionOptions | None = None
) -> OnnxRuntimeSession:
    """Load a model from a file, or from a serialized ``ModelProto``.

    Raises:
        ModelError: The file is missing, or ONNX Runtime cannot load what it holds.
    """
    if isinstance(path_or_bytes, Path) and not path_or_bytes.is_file():
        raise ModelError(f"There is no model file {path_or_bytes}.")
    model = path_or_bytes if isinstance(path_or_bytes, bytes) else str(path_or_bytes)
    try:
        return OnnxRuntimeSession(model, options)
    except Exception as error:  # ONNX Runtime has a class of its own for each way to fail
        what = model if isinstance(model, str) else f"What was given ({len(model)} bytes)"
        raise ModelError(f"{what} is not a model that ONNX Runtime can run: {error}") from error


class OnnxRuntimeBackend:
    """INC's ONNX models; see ``Backend`` for the contract.

    Args:
        options: As for ``session_options``; every session is opened with them.
    """

    name = "onnxruntime"
    model_suffix = ".onnx"
    native_float = "fp32"

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self._chosen = dict(options or {})
        self._options = session_options(options)

    def open(self, model: Any) -> OnnxRuntimeSession:
        """See ``Backend``."""
        with loadable(model.model) as source:
            return OnnxRuntimeSession(source, self._options)

    def release(self, model: Any) -> None:
        """INC's ONNX models hold no session."""

    def fingerprint(self, model: Any) -> str:
        """See ``Backend``."""
        return digest_of_model(model.model)

    def graph_order(self, model: Any) -> Mapping[str, int]:
        # ONNX demands that nodes stand in topological order.
        """See ``Backend``."""
        return {node.name: i for i, node in enumerate(model.model.graph.node)}

    def op_graph(self, model: Any, ops: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """See ``Backend``."""
        shapes = known_shapes(model.model)
        return reduce_to_ops(graph_nodes(model.model, shapes), shapes, ops)

    def keep_choices(self, model: Any) -> int:
        """See ``onnx_kept_fp32``."""
        # The user's evaluation of a large model loads a file that INC wrote: it sees no rewrite.
        if getattr(model, "is_large_model", False) and getattr(model, "model_path", None):
            return 0
        kept = keep_fp32(model.model)
        if kept and hasattr(model, "update"):
            model.update()  # INC's model objects index their nodes
        return kept

    def ran_as(self, model: Any, ops: Sequence[str]) -> dict[str, str]:
        """See ``onnx_ran_as``; nothing where ONNX Runtime cannot write its graph."""
        try:
            return ran_as(self._optimized(model), ops)
        except (
            Exception
        ) as error:  # of ONNX Runtime, or a disk that is full: only a report is lost
            logger.debug("How ONNX Runtime runs the ops is not known: %s", error)
            return {}

    def op_times(self, model: Any, inputs: Any, ops: Sequence[str]) -> OpTimes | None:
        """See ``Backend``; by ONNX Runtime's profile."""
        with loadable(model.model) as source:
            events, ran = profiled(source, session_options(self._chosen), inputs)
        which = OpNames(ops, getattr(model, "parts", {}), stem)
        return op_times(events, ran, model.model, which)

    def deployment(self, model: Any) -> dict[str, Any]:
        """See ``Outcome.deployment``."""
        found: dict[str, Any] = {}
        if self._chosen:
            found["session_options"] = dict(self._chosen)
        if is_rewritten(model.model):
            found["rebuilt_from_recipe"] = {"session_config_entries": dict(THE_SWITCH)}
        return found

    def _optimized(self, model: Any) -> onnx.ModelProto:
        """What a session makes of a model, before the steps that only change layouts."""
        options = session_options(self._chosen)
        if options.graph_optimization_level == _LEVELS["all"]:
            options.graph_optimization_level = _LEVELS["extended"]
        # It never runs: what a session prepares for that would be for nothing.
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        with (
            tempfile.TemporaryDirectory(prefix="nc_sigopt_") as folder,
            loadable(model.model) as source,
        ):
            options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
            OnnxRuntimeSession(source, options).close()
            return onnx.load(options.optimized_model_filepath)

    def save(self, model: Any, path: Path) -> Path:
        """See ``Backend``."""
        return write_model(model.model, path.with_suffix(self.model_suffix))
