"""A model in OpenVINO: an IR, an ONNX file, a frozen graph or the folder of a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino

from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_strategy.backends.backend import feed_by_position

_PRECISIONS = {"f32": "f32", "float": "f32", "float32": "f32", "bf16": "bf16", "bfloat16": "bf16"}


class OpenedOpenVino:
    """See ``Opened``."""

    version = str(openvino.__version__).split("-")[0]

    def __init__(self, deployed: Deployed) -> None:
        model = read_openvino(deployed.path, deployed.outputs)
        self.native = compiled(model, deployed.options, deployed.threads)
        self.precision = _precision(self.native)
        self._inputs = [port.any_name for port in self.native.inputs]
        self._request = self.native.create_infer_request()

    def run(self, batch: Any) -> list[Any]:
        """See ``Opened``."""
        feed = feed_by_position(self._inputs, batch)
        found = self._request.infer(feed, share_inputs=True, share_outputs=True)
        return [found[port] for port in self.native.outputs]


def read_openvino(path: Path, outputs: tuple[str, ...] = ()) -> Any:
    """An ``openvino.Model`` of a file.

    Args:
        path: An IR, an ONNX file, a frozen graph or the folder of a SavedModel.
        outputs: Names of the output ops of a frozen graph, which may have more ends than these.
    """
    if path.suffix in (".xml", ".onnx"):
        return openvino.Core().read_model(str(path))
    model = openvino.convert_model(str(path))
    wanted = {name if ":" in name else f"{name}:0" for name in outputs}
    found = [port for port in model.outputs if wanted & port.get_names()]
    if not found or len(found) == len(model.outputs):
        return model
    return openvino.Model([port.node for port in found], model.get_parameters())


def compiled(model: Any, properties: Any, threads: int) -> Any:
    """``compile_model`` on the CPU with the user's properties."""
    given = dict(properties)
    if threads:
        given.setdefault("INFERENCE_NUM_THREADS", threads)
    return openvino.Core().compile_model(model, "CPU", given)


def _precision(model: Any) -> str:
    """What ``compile_model`` settled on for float ops."""
    told = model.get_property("INFERENCE_PRECISION_HINT")
    name = told if isinstance(told, str) else told.get_type_name()
    return _PRECISIONS.get(name, name)
