"""``OpenVinoHost`` keeps to the contract of a host."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

pytest.importorskip("openvino")
pytest.importorskip("nncf")

from nc_sigopt_strategy.backends.openvino import OpenVinoModel
from nc_sigopt_strategy.hosts.given import Criterion, Given
from nc_sigopt_strategy.hosts.openvino import choosing
from nc_sigopt_strategy.hosts.openvino.openvino_host import OpenVinoHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.contract import HostContract
from tests.hosts.openvino.rebuilding import rebuilt_from
from tests.hosts.openvino.small_models import (
    Batches,
    agreement,
    attention,
    chain,
    images,
    residual,
    sequences,
)


class OpenVinoContract(HostContract):
    """The contract on one small model."""

    make: Callable[[], Any]
    data: Callable[[], Batches]
    properties: Mapping[str, Any] | None = None

    @pytest.fixture
    def host(self) -> OpenVinoHost:
        cls = type(self)
        self.model, self.batches = cls.make(), cls.data()
        given = Given(
            self.model,
            self.batches,
            agreement(self.model, self.batches),
            Criterion(tolerable_loss=0.9),
            sampling_sizes=(8,),
        )
        return OpenVinoHost(given, Settings(openvino_properties=self.properties))

    @contextlib.contextmanager
    def broken_quantization(self, host: Any) -> Iterator[None]:
        def fails(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a node of a kind never seen")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(choosing, "_by_name", fails)
            yield

    def rebuilt(self, host: Any, recipe: Mapping[str, Any]) -> Any:
        model = rebuilt_from(self.model, self.batches, recipe)
        return OpenVinoModel(model, recipe["properties"]["INFERENCE_PRECISION_HINT"])


class TestChain(OpenVinoContract):
    make, data = chain, images


class TestResidual(OpenVinoContract):
    make, data = residual, images


class TestAttention(OpenVinoContract):
    make, data = attention, sequences


class TestFloat32Only(OpenVinoContract):
    make, data = chain, images
    properties = MappingProxyType({"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
