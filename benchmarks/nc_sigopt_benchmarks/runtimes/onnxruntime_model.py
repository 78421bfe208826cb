"""An ONNX model in ONNX Runtime."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import onnxruntime

from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_strategy.backends.backend import feed_by_position
from nc_sigopt_strategy.backends.onnxruntime import session_options


class OpenedOnnxRuntime:
    """See ``Opened``."""

    version = onnxruntime.__version__
    precision = ""

    def __init__(self, deployed: Deployed) -> None:
        given = dict(deployed.options)
        entries = given.pop("session_config_entries", {})
        if deployed.threads:
            given.setdefault("intra_op_num_threads", deployed.threads)
        # Threads that spin after a run would slow down the model that is timed next.
        options = session_options(given)
        for key, value in entries.items():
            options.add_session_config_entry(key, str(value))
        self._path = deployed.path
        self._session = onnxruntime.InferenceSession(
            str(deployed.path), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [node.name for node in self._session.get_inputs()]

    @cached_property
    def native(self) -> Any:
        """The ``onnx.ModelProto``: only an ``eval_func`` of the user's own needs it."""
        import onnx

        return onnx.load(str(self._path))

    def run(self, batch: Any) -> list[Any]:
        """See ``Opened``."""
        outputs = self._session.run(None, feed_by_position(self._inputs, batch))
        return [output for output in outputs if hasattr(output, "shape")]
