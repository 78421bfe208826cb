"""What has to be the same for an experiment to be continued."""

from __future__ import annotations

from typing import Any

import numpy as np

from nc_sigopt_strategy.experiments.identity import Identity, Measuring

BATCHES: list[Any] = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    [np.ones((1, 2), np.int64), np.zeros(3)],
    (np.full((2,), 7), [1.5]),
]
SPACE = {"parameters": [], "fixed": [["a", "conv2d", "fp32"]]}


def test_names_and_values_are_those_of_stores_there_are() -> None:
    """Of commit e2c1719: with others no experiment of its stores could be continued."""
    found = Identity("f" * 64, Measuring(BATCHES, None, "timed"), SPACE, "relative 0.01")
    assert found.fingerprints() == {
        "model": "f" * 64,
        "data": "49d4abc670f65e9c0d014eb3f1196a2415b1be5c4082e91618091fc90bd02efe",
        "search space": "bbd525c9ff915c24685d3631e49c6556694e05ab075162f520c05ced469a4eaa",
        "accuracy criterion": "relative 0.01",
        "latency measurement": "timed",
    }


def test_what_was_chosen_is_named_too() -> None:
    options = {
        "intra_op_num_threads": 2,
        "inter_op_num_threads": 0,
        "graph_optimization_level": "basic",
    }
    found = Identity(
        "m" * 600,
        Measuring(BATCHES[:1], 4, "latency_func", options),
        SPACE,
        "absolute 0.5",
        ("b", "a"),
        "pareto",
        {"finishing": "on"},
    )
    assert found.fingerprints() == {
        "model": "b8cbf3e197a5c4d4b02af5eb94ba90a90230a486a692876a2753380043660c75",
        "data": "89be1810501f8024a8d2bda85af5919cf3cdf9580d94c8c88b06061f8bff888d",
        "search space": "bbd525c9ff915c24685d3631e49c6556694e05ab075162f520c05ced469a4eaa",
        "accuracy criterion": "absolute 0.5",
        "latency measurement": "latency_func",
        "onnxruntime_session_options": (
            '{"graph_optimization_level": "basic", "intra_op_num_threads": 2}'
        ),
        "stored metrics": '["a", "b"]',
        "goal": "pareto",
        "finishing": "on",
    }


def test_options_that_change_nothing_are_none() -> None:
    plain = Identity("f", Measuring(BATCHES, None, "timed"), SPACE, "c")
    spelled_out = {"intra_op_num_threads": 0, "graph_optimization_level": "all"}
    same = Identity("f", Measuring(BATCHES, None, "timed", spelled_out), SPACE, "c")
    assert plain.fingerprints() == same.fingerprints()


def test_batches_by_name_are_known_by_their_values() -> None:
    def of(value: float) -> dict[str, str]:
        batch = {"ids": np.full((2, 4), value), "mask": np.ones((2, 4), np.int64)}
        return Identity("f", Measuring([batch], None, "timed"), SPACE, "c").fingerprints()

    assert of(1.5) == of(1.5)
    assert of(1.5)["data"] != of(2.5)["data"]
