"""``Inc3Host`` keeps to the contract of a host."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.hosts.find import INC3, named_host
from nc_sigopt_strategy.hosts.given import Criterion, Given
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.contract import HostContract
from tests.conftest import INPUT_NAME, OUTPUT_NAME

if not named_host(INC3).is_installed:
    pytest.skip("There is no Neural Compressor 3.8 or newer.", allow_module_level=True)

from nc_sigopt_strategy.hosts.inc3.inc3_host import Inc3Host
from tests.hosts.inc3.rebuilding import rebuilt_from


class TestSmallGraph(HostContract):
    settings = Settings()

    @pytest.fixture
    def host(self, small_model: Path, small_loader: Any, small_accuracy: Any) -> Inc3Host:
        self.model, self.loader = small_model, small_loader
        given = Given(
            small_model,
            small_loader,
            small_accuracy,
            Criterion(tolerable_loss=0.9),
            sampling_sizes=(16,),
            inputs=[INPUT_NAME],
            outputs=[OUTPUT_NAME],
        )
        return Inc3Host(given, self.settings)

    @contextlib.contextmanager
    def broken_quantization(self, host: Any) -> Iterator[None]:
        from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_modules import GraphConverter

        def fails(*_: Any, **__: Any) -> Any:
            raise ValueError("a node of a kind never seen")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(GraphConverter, "_quantize_graph", fails)
            yield

    def rebuilt(self, host: Any, recipe: Mapping[str, Any]) -> Any:
        return rebuilt_from(self.model, self.loader, recipe)


class TestItsOwnWeights(TestSmallGraph):
    settings = Settings(calibration="exact")


class TestAsNeuralCompressorDoes(TestSmallGraph):
    settings = Settings(calibration="stock", finishing="off")
