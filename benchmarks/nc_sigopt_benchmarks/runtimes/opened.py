"""A model opened in this process, whatever its runtime."""

from __future__ import annotations

from typing import Any, Protocol

from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_strategy.errors import ModelError


class Opened(Protocol):
    """A model that is ready to run.

    Attributes:
        version: Of the runtime.
        precision: What its float ops run in, where the runtime tells; else empty.
    """

    version: str
    precision: str

    @property
    def native(self) -> Any:
        """The runtime's own object, which an ``eval_func`` gets."""
        ...

    def run(self, batch: Any) -> list[Any]:
        """Outputs for one batch, as arrays."""
        ...


def open_deployed(deployed: Deployed) -> Opened:
    """Open a model as its deployment would.

    Raises:
        ModelError: The runtime is not installed, or cannot open the model.
    """
    try:
        if deployed.runtime == "tensorflow":
            from nc_sigopt_benchmarks.runtimes.tensorflow_model import OpenedTensorFlow

            return OpenedTensorFlow(deployed)
        if deployed.runtime == "onnxruntime":
            from nc_sigopt_benchmarks.runtimes.onnxruntime_model import OpenedOnnxRuntime

            return OpenedOnnxRuntime(deployed)
        from nc_sigopt_benchmarks.runtimes.openvino_model import OpenedOpenVino

        return OpenedOpenVino(deployed)
    except ModelError:
        raise
    except Exception as error:  # each runtime raises what it likes for what it cannot load
        raise ModelError(
            f"{deployed.path} cannot be opened in {deployed.runtime}: "
            f"{type(error).__name__}: {error}"
        ) from error
