"""Experiments that the tests are made of, drivers, and the check that a request is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from optuna.storages import RDBStorage
from sigopt.exception import ApiException
from sigopt.ratelimit import failed_status_rate_limit

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.engine.database.opening import open_storage
from nc_sigopt_strategy.engine.store import Store

PARAMETERS: list[dict[str, Any]] = [
    {"name": "conv", "type": "categorical", "categorical_values": ["int8", "bf16", "fp32"]},
    {
        "name": "pool",
        "type": "categorical",
        "categorical_values": [{"name": "on"}, {"name": "of"}],
    },
    {"name": "depth", "type": "int", "bounds": {"min": 1, "max": 4}},
    {
        "name": "rate",
        "type": "double",
        "bounds": {"min": 1e-4, "max": 1.0},
        "transformation": "log",
    },
]
ASSIGNMENTS = {"conv": "bf16", "pool": "on", "depth": 2, "rate": 0.5}
METRICS: list[dict[str, Any]] = [
    {"name": "latency", "objective": "minimize", "strategy": "optimize"},
    {"name": "accuracy", "strategy": "constraint", "threshold": 0.9},
    {"name": "noise", "objective": "minimize", "strategy": "store"},
]


def body(**changes: Any) -> dict[str, Any]:
    """A create request with three metrics and four parameters; ``None`` drops a key."""
    made: dict[str, Any] = {
        "name": "tune",
        "parameters": PARAMETERS,
        "metrics": METRICS,
        "observation_budget": 20,
        **changes,
    }
    return {key: value for key, value in made.items() if value is not None}


def discrete(*sizes: int, **changes: Any) -> dict[str, Any]:
    """A create request with one metric and categorical parameters of these sizes."""
    parameters = [
        {
            "name": f"p{index}",
            "type": "categorical",
            "categorical_values": [f"v{value}" for value in range(size)],
        }
        for index, size in enumerate(sizes)
    ]
    return {"name": "discrete", "parameters": parameters, "metrics": ["score"], **changes}


def values(
    latency: float = 1.0, accuracy: float = 0.95, noise: float = 0.0
) -> list[dict[str, Any]]:
    """Values of all three metrics."""
    return [
        {"name": "latency", "value": latency},
        {"name": "accuracy", "value": accuracy},
        {"name": "noise", "value": noise},
    ]


def opened(where: str | Location, **options: Any) -> tuple[RDBStorage, EmbeddedDriver]:
    """A driver, and Optuna's storage that it works on."""
    location = Location(where) if isinstance(where, str) else where
    storage = open_storage(location)
    return storage, EmbeddedDriver(Store(location, storage), **options)


def refused(call: Callable[[], Any], status: int, *words: str) -> None:
    """Check that a call ends in this status, with these words in its message."""
    with pytest.raises(ApiException) as caught:
        call()
    failed_status_rate_limit.clear()
    assert caught.value.status_code == status, caught.value
    assert caught.value.to_json()["status"] == status
    for word in words:
        assert word in caught.value.message
