"""``OnnxRuntimeHost`` keeps to the contract of a host."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from nc_sigopt_strategy.backends.onnx_model import OnnxModel
from nc_sigopt_strategy.hosts.onnxruntime.onnxruntime_host import OnnxRuntimeHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.contract import HostContract
from tests.hosts.onnxruntime.models import (
    hard_sigmoid_net,
    hard_swish_net,
    image_net,
    sentence_net,
)

_SCRIPT = Path(__file__).parents[3] / "examples" / "recipes" / "rebuild_onnxruntime.py"


def rebuild_script() -> Any:
    """The example, which knows nothing of this package."""
    spec = importlib.util.spec_from_file_location("rebuild_onnxruntime", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _OnnxRuntimeContract(HostContract):
    @contextlib.contextmanager
    def broken_quantization(self, host: Any) -> Iterator[None]:
        def fails(*_: Any, **__: Any) -> Any:
            raise ValueError("a node of a kind never seen")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(QDQQuantizer, "remove_nodes", fails)
            yield

    def rebuilt(self, host: Any, recipe: Mapping[str, Any]) -> Any:
        users = type(host.fp32.model)()
        users.CopyFrom(host.fp32.model)
        return OnnxModel(rebuild_script().rebuilt(users, dict(recipe)))


class TestConvolutions(_OnnxRuntimeContract):
    @pytest.fixture
    def host(self) -> OnnxRuntimeHost:
        return OnnxRuntimeHost(image_net(), Settings())


class TestTransformer(_OnnxRuntimeContract):
    @pytest.fixture
    def host(self) -> OnnxRuntimeHost:
        return OnnxRuntimeHost(sentence_net(), Settings(activation_type="int8"))


class TestHardSigmoid(_OnnxRuntimeContract):
    @pytest.fixture
    def host(self) -> OnnxRuntimeHost:
        return OnnxRuntimeHost(image_net(hard_sigmoid_net()), Settings())


class TestHardSwish(_OnnxRuntimeContract):
    @pytest.fixture
    def host(self) -> OnnxRuntimeHost:
        return OnnxRuntimeHost(image_net(hard_swish_net()), Settings())
