"""A model in OpenVINO: an IR, an ONNX file, a frozen graph or the folder of a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino

from nc_sigopt_benchmarks.runtimes.deployed import Deployed

_PRECISIONS = {"f32": "f32", "float": "f32", "float32": "f32", "bf16": "bf16", "bfloat16": "bf16"}


class OpenedOpenVino:
    """See ``Opened``."""

    version = str(openvino.__version__).split("-")[0]

    def __init__(self, deployed: Deployed) -> None:
        model = read_openvino(deployed.path, deployed.inputs, deployed.outputs)
        self.native = compiled(model, deployed.options, deployed.threads)
        self.precision = _precision(self.native)
        self._request = self.native.create_infer_request()

    def run(self, batch: Any) -> list[Any]:
        """See ``Opened``."""
        found = self._request.infer(_fed(batch), share_inputs=True, share_outputs=True)
        return [found[port] for port in self.native.outputs]


def read_openvino(
    path: Path, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()
) -> Any:
    """An ``openvino.Model`` of a file; a frozen graph needs names of its ends."""
    if path.suffix == ".pb":
        ends: dict[str, Any] = {}
        if inputs:
            ends["input"] = [name.split(":")[0] for name in inputs]
        if outputs:
            ends["output"] = [name.split(":")[0] for name in outputs]
        return openvino.convert_model(str(path), **ends)
    return openvino.Core().read_model(str(path))


def compiled(model: Any, properties: Any, threads: int) -> Any:
    """``compile_model`` on the CPU with the user's properties."""
    given = dict(properties)
    if threads:
        given.setdefault("INFERENCE_NUM_THREADS", threads)
    return openvino.Core().compile_model(model, "CPU", given)


def _fed(batch: Any) -> Any:
    if isinstance(batch, (dict, list, tuple)):
        return batch
    return [np.ascontiguousarray(batch)]


def _precision(model: Any) -> str:
    """What ``compile_model`` settled on for float ops."""
    told = model.get_property("INFERENCE_PRECISION_HINT")
    name = told if isinstance(told, str) else told.get_type_name()
    return _PRECISIONS.get(name, name)
