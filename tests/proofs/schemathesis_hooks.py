"""Read by schemathesis, in its environment: what an OpenAPI document cannot say.

Requests that are meant to be right are made to fit what the server knows, most of them. Those that
are meant to be wrong stay as they are.
"""

from __future__ import annotations

import random
from typing import Any

import schemathesis
from schemathesis import GenerationMode

# Of the document's example, which the test creates, and schemathesis again and again.
_ASSIGNMENTS = {"rate": 0.1, "depth": 3, "kind": "b"}
_METRICS = ("accuracy", "latency")
_SHARE = 0.7


@schemathesis.hook
def filter_query(context: Any, query: dict[str, Any]) -> bool:
    """Leave out what is wrong only before it is sent: an empty value never reaches the server."""
    return all(_is_sent(value) for value in (query or {}).values())


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Change a request before it is sent."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if case.query:
        # Only what a list itself has told is a marker.
        for key in ("before", "after"):
            case.query.pop(key, None)
    # Seeded by the request, so that the same one is sent when it is replayed.
    generator = random.Random(repr(case.body))
    if isinstance(case.body, dict) and generator.random() < _SHARE:
        batch = case.body.get("observations")
        for body in batch if isinstance(batch, list) else [case.body]:
            _fit_observation(body, generator)
        if isinstance(case.body.get("parameters"), list):
            _fit_experiment(case.body)


def _is_sent(value: Any) -> bool:
    if isinstance(value, (list, tuple, dict)):
        return any(item is not None for item in value)
    return value is not None


def _fit_observation(body: dict[str, Any], generator: random.Random) -> None:
    """An observation, or a suggestion, of the example."""
    if isinstance(body.get("assignments"), dict):
        body["assignments"] = {**_ASSIGNMENTS, "depth": generator.randint(1, 9)}
        body.pop("suggestion", None)
    if isinstance(body.get("values"), list):
        body["values"] = [{"name": name, "value": generator.random()} for name in _METRICS]
        body.pop("failed", None)


def _fit_experiment(body: dict[str, Any]) -> None:
    """Different names, bounds in order, and metrics with what they need."""
    for index, parameter in enumerate(body["parameters"]):
        parameter["name"] = f"{parameter['name'][:80]}{index}"
        bounds = parameter.get("bounds")
        if isinstance(bounds, dict) and bounds.get("max", 0) <= bounds.get("min", 0):
            bounds["max"] = bounds.get("min", 0) + 1
    body["metrics"] = ["score"]
    body.pop("project", None)
