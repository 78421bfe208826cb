"""``TorchHost`` keeps to the contract of a host."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

pytest.importorskip("torchao", reason="PyTorch with torchao is not installed: make test-torch")

import numpy as np

from nc_sigopt_strategy.backends.torch_model import TorchModel
from nc_sigopt_strategy.hosts.given import Criterion, Given
from nc_sigopt_strategy.hosts.predictor import predictor
from nc_sigopt_strategy.hosts.torch import calibrated
from nc_sigopt_strategy.hosts.torch.torch_host import TorchHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.contract import HostContract
from tests.hosts.torch.rebuilding import rebuilt_from
from tests.hosts.torch.small_modules import Batches, attention, images, residual, sequences


class TorchContract(HostContract):
    """The contract on one small module."""

    make: Callable[[], Any]
    data: Callable[[], Batches]

    @pytest.fixture
    def host(self) -> TorchHost:
        cls = type(self)
        self.batches = cls.data()

        def spread(model: Any) -> float:
            return float(np.std(predictor(model)(self.batches.batches[0])[0]))

        given = Given(
            cls.make(), self.batches, spread, Criterion(tolerable_loss=0.9), sampling_sizes=(8,)
        )
        return TorchHost(given, Settings())

    @contextlib.contextmanager
    def broken_quantization(self, host: Any) -> Iterator[None]:
        def fails(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a node of a kind never seen")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(calibrated, "converted", fails)
            yield

    def rebuilt(self, host: Any, recipe: Mapping[str, Any]) -> Any:
        module = rebuilt_from(host.fp32.module, self.batches, recipe)
        return TorchModel(module, host.fp32.form)


class TestResidual(TorchContract):
    make, data = residual, images


class TestAttention(TorchContract):
    make, data = attention, sequences
