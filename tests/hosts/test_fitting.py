"""``fit`` tells why a strategy of Neural Compressor gave up."""

from __future__ import annotations

from typing import Any

import pytest
from neural_compressor import quantization
from neural_compressor.strategy import STRATEGIES

from nc_sigopt_strategy.hosts.inc.fitting import fit


class Strategy:
    """Stands in for one of Neural Compressor's."""

    error: Exception | None = None

    def traverse(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``fit`` that does with a strategy what Neural Compressor's does."""

    def fake(**_: Any) -> str:
        try:
            STRATEGIES["fake"]().traverse()
        except Exception:
            return "nothing"
        return "a model"

    monkeypatch.setitem(STRATEGIES, "fake", Strategy)
    monkeypatch.setattr(quantization, "fit", fake)


def fitted() -> Any:
    return fit("model", None, [], len)


def test_a_strategy_that_works(swallowed: None) -> None:
    assert (fitted().model, fitted().error) == ("a model", None)
    assert STRATEGIES["fake"] is Strategy


def test_the_error_that_ended_it(swallowed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ZeroDivisionError("division by zero")
    monkeypatch.setattr(Strategy, "error", error)
    assert fitted().error is error
    assert STRATEGIES["fake"] is Strategy
