"""What Neural Compressor finds out about a model, once instead of in every call."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Iterator
from typing import Any

from nc_sigopt_strategy.hosts.inc.calibration.reaches import Reach, replaced
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_biases import biases_added
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_own_sums import without_int8_of_own_sums
from nc_sigopt_strategy.hosts.inc3.inc_parts import CAPABILITY, TensorFlowAdaptor, TFConfig


class KnownOps:
    """Which ops of a model can be quantized and how.

    Neural Compressor optimizes the FP32 graph first, in place: 3 s for MobileNet_v1, of which each
    call of its ``quantize_model`` would spend the first.

    Args:
        model: Neural Compressor's model object; its graph is the optimized one from then on.
        fits: Whether weights and biases are fitted: convolutions before a sum get a bias then.

    Attributes:
        by_op: Op to a list of alternatives, as ``Options`` takes them.
        notes: What is kept from int8.
    """

    def __init__(self, model: Any, fits: bool) -> None:
        self._model = model
        with own_workspace(), biases_added() if fits else contextlib.nullcontext():
            adaptor = TensorFlowAdaptor(copy.deepcopy(TFConfig.global_config))
            self._capability = getattr(adaptor, CAPABILITY)(model)
        self.by_op, self.notes = without_int8_of_own_sums(
            self._capability["opwise"], model.graph_def
        )

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """Inside, Neural Compressor is told what it knows of the model."""

        def capability(real: Any, adaptor: Any, model: Any) -> Any:
            if model is not self._model:
                return real(adaptor, model)
            return copy.deepcopy(self._capability)

        with replaced([Reach(TensorFlowAdaptor, CAPABILITY, capability)]):
            yield


@contextlib.contextmanager
def own_workspace() -> Iterator[None]:
    """Inside, Neural Compressor leaves its files in a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="nc-sigopt-") as folder:
        TFConfig.reset_global_config()
        TFConfig.global_config["workspace_path"] = folder
        try:
            yield
        finally:
            TFConfig.reset_global_config()
