"""The user's own metrics: what a function may return, and what is said of what it may not."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.errors import SettingsError, TrialError
from nc_sigopt_strategy.hosts.inc.inc_host import evaluated_object
from nc_sigopt_strategy.measurement.stored_metrics import StoredMetrics
from nc_sigopt_strategy.settings.settings import Settings


def metrics_of(*answers: Any) -> StoredMetrics:
    """A function that gives one answer after another."""
    left = iter(answers)
    return StoredMetrics(lambda model: next(left), lambda: "fp32")


def broken(model: Any) -> dict[str, float]:
    raise ValueError("no labels")


def test_values_become_floats_in_the_order_of_fp32s() -> None:
    metrics = metrics_of({"f1": np.float32(0.5), "size": 3}, {"size": np.int64(2), "f1": 1})
    assert metrics.names == ("f1", "size")
    assert metrics.fp32 == {"f1": 0.5, "size": 3.0}
    found = metrics.of("model")
    assert list(found.items()) == [("f1", 1.0), ("size", 2.0)]
    assert all(type(value) is float for value in found.values())


def test_without_a_function_there_are_none() -> None:
    def never() -> Any:
        raise AssertionError("the FP32 model is not asked for")

    metrics = StoredMetrics(None, never)
    assert metrics.names == ()
    assert metrics.of("model") == {}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (0.5, r"0\.5 \(float\), which is not a mapping"),
        ({}, "no metrics"),
        ({"f1": math.nan}, "nan for 'f1'"),
        ({"f1": "high"}, "'high' for 'f1'"),
        ({"f1": True}, "True for 'f1'"),
        ({"accuracy": 0.5}, "'accuracy', which is a metric of every experiment"),
        ({"output_noise": 0.5}, "'output_noise'"),
        ({1: 0.5}, "the name 1,"),
        ({" f1": 0.5}, "the name ' f1'"),
        ({"f" * 101: 0.5}, "1 to 100"),
        ({f"m{n}": 0.0 for n in range(47)}, "returned 47 metrics.*at most 46"),
    ],
)
def test_what_fp32_may_not_give(answer: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        metrics_of(answer)


def test_a_function_that_raises_is_quoted() -> None:
    with pytest.raises(SettingsError, match=r"ValueError: no labels.*FP32"):
        StoredMetrics(broken, lambda: "fp32")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "None"),
        ({"f2": 1.0}, "'f2', and for the FP32 model 'f1'"),
        ({"f1": math.inf}, "inf for 'f1'"),
    ],
)
def test_a_trial_fails_with_the_reason(answer: Any, said: str) -> None:
    with pytest.raises(TrialError, match=said):
        metrics_of({"f1": 1.0}, answer).of("model")


def test_as_many_as_sigopt_allows() -> None:
    assert len(metrics_of({f"m{n}": 0.0 for n in range(46)}).names) == 46


@pytest.mark.parametrize("key", ["stored_metrics_func", "latency_func"])
def test_what_is_no_function_is_refused(key: str) -> None:
    returned: dict[str, str] = {
        "stored_metrics_func": "dict of metrics",
        "latency_func": "seconds",
    }
    with pytest.raises(SettingsError, match=returned[key]):
        Settings.from_kwargs({key: "f1"})


def test_the_function_gets_what_incs_evaluation_gets() -> None:
    large = SimpleNamespace(model="proto", model_path="a.onnx", is_large_model=True)
    small = SimpleNamespace(model="proto", model_path="a.onnx", is_large_model=False)
    get: Callable[[str, Any], Any] = evaluated_object
    assert get("onnxrt_qlinearops", large) == "a.onnx"
    assert get("onnxrt_qlinearops", small) == "proto"
    assert get("tensorflow", SimpleNamespace(model="graph")) == "graph"
