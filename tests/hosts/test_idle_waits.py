"""Control inputs that wait for constants alone."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.idle_waits import without_idle_waits


def graph(*nodes: tuple[str, str, list[str]]) -> Any:
    made = tf.compat.v1.GraphDef()
    for name, op, inputs in nodes:
        made.node.add(name=name, op=op, input=inputs)
    return made


def inputs_of(graph_def: Any) -> dict[str, list[str]]:
    return {node.name: list(node.input) for node in graph_def.node}


WEIGHT = [("w", "Const", []), ("read", "Enter", ["w"])]


def test_waits_for_constants_go() -> None:
    given = graph(
        *WEIGHT,
        ("done", "NoOp", ["^read"]),
        ("x", "Placeholder", []),
        ("y", "Relu", ["x", "^done"]),
    )
    assert inputs_of(without_idle_waits(given, ["y"])) == {
        "w": [],
        "read": ["w"],
        "x": [],
        "y": ["x"],
    }


@pytest.mark.parametrize(
    "waiting",
    [
        [("p", "Print", ["x"]), ("done", "NoOp", ["^p", "^x"])],
        [("s", "Switch", ["x", "x"]), ("c", "Const", ["^s"]), ("done", "Identity", ["c"])],
    ],
    ids=["an effect", "a gated constant"],
)
def test_waits_for_more_stay(waiting: Any) -> None:
    given = graph(("x", "Placeholder", []), *waiting, ("y", "Relu", ["x", "^done"]))
    assert without_idle_waits(given) is given


def test_what_only_the_wait_binds_to_a_loop_stays_bound() -> None:
    given = graph(*WEIGHT, ("done", "NoOp", ["^read"]), ("step", "Const", ["^done"]))
    assert inputs_of(without_idle_waits(given))["step"] == ["^done"]
    assert inputs_of(without_idle_waits(given))["done"] == ["^read"]


def test_a_wait_for_a_bound_constant_is_one_for_what_binds_it() -> None:
    given = graph(
        ("s", "Switch", ["x", "x"]),
        ("gate", "Identity", ["s:1"]),
        ("weight", "Const", ["^gate"]),
        ("further", "Const", ["^weight"]),
        ("done", "NoOp", ["^further", "^weight"]),
        ("next", "NextIteration", ["s:1", "^done"]),
    )
    found = inputs_of(without_idle_waits(given))
    assert found["done"] == found["weight"] == found["further"] == ["^gate"]
    assert found["next"] == ["s:1", "^done"]


def test_an_output_stays() -> None:
    given = graph(*WEIGHT, ("done", "NoOp", ["^read"]))
    assert "done" in inputs_of(without_idle_waits(given, ["done"]))
