"""``IncHost`` keeps to the contract of a host, on both of INC's frameworks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nc_sigopt_strategy
from nc_sigopt_strategy.hosts.inc.inc_host import IncHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.contract import HostContract
from tests.conftest import Loader
from tests.integration.finished import finished
from tests.integration.fitting import configure, fit
from tests.integration.small_onnx import write_small_onnx

pytestmark = pytest.mark.integration


def host_of(model: Path, conf: Any, loader: Any, eval_func: Callable[[Any], Any]) -> IncHost:
    """A host around a strategy of INC's own, which holds model, data and criterion."""
    from neural_compressor.model import Model
    from neural_compressor.strategy import STRATEGIES

    strategy = STRATEGIES["basic"](
        model=Model(str(model), conf=conf),
        conf=SimpleNamespace(quantization=conf),
        q_dataloader=loader,
        eval_func=eval_func,
    )
    return IncHost(strategy, Settings())


@contextlib.contextmanager
def broken(owner: Any, method: str) -> Iterator[None]:
    def fails(*_: Any, **__: Any) -> Any:
        raise ValueError("a node of a kind never seen")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, method, fails)
        yield


class TestTensorFlow(HostContract):
    @pytest.fixture
    def host(
        self, tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
    ) -> IncHost:
        self.folder, self.model = tmp_path, small_model
        self.loader, self.accuracy = small_loader, small_accuracy
        conf = configure(tmp_path, strategy="basic", loss=0.99, quant_level=1)
        return host_of(small_model, conf, small_loader, small_accuracy)

    def broken_quantization(self, host: Any) -> Any:
        from neural_compressor.adaptor.tf_utils.graph_converter import GraphConverter

        return broken(GraphConverter, "_quantize_graph")

    def rebuilt(self, host: Any, recipe: Mapping[str, Any]) -> Any:
        conf = configure(
            self.folder, strategy="basic", loss=0.99, max_trials=1, quant_level=1,
            op_name_dict=recipe,
        )  # fmt: skip
        with nc_sigopt_strategy.fitted_weights():
            return finished(fit(self.model, conf, self.loader, self.accuracy))


class TestOnnxRuntime(HostContract):
    @pytest.fixture
    def host(self, tmp_path: Path, small_data: Any) -> IncHost:
        onnxruntime = pytest.importorskip("onnxruntime")
        self.folder, self.model = tmp_path, write_small_onnx(tmp_path / "small.onnx")
        images = np.ascontiguousarray(small_data[0].transpose(0, 3, 1, 2))
        session = onnxruntime.InferenceSession(str(self.model))
        labels = session.run(None, {"input": images})[0].argmax(axis=1)

        def accuracy(model: Any) -> float:
            quantized = onnxruntime.InferenceSession(model.SerializeToString())
            (logits,) = quantized.run(None, {"input": images})
            return float((logits.argmax(axis=1) == labels).mean())

        self.loader, self.accuracy = Loader(images, labels), accuracy
        return host_of(self.model, self._conf(), self.loader, accuracy)

    def broken_quantization(self, host: Any) -> Any:
        from neural_compressor.adaptor.ox_utils.quantizer import Quantizer

        return broken(Quantizer, "quantize_model")

    def rebuilt(self, host: Any, recipe: Mapping[str, Any]) -> Any:
        conf = self._conf(op_name_dict=recipe, max_trials=1)
        model = fit(self.model, conf, self.loader, self.accuracy)
        # ONNX Runtime's optimizer would quantize what the recipe leaves in fp32.
        host.backend.keep_choices(model)
        return model

    def _conf(self, **more: Any) -> Any:
        conf = configure(self.folder, strategy="basic", loss=0.99, quant_level=1, **more)
        conf.inputs = conf.outputs = []
        return conf
