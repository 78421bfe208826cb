"""Control inputs that wait for constants alone."""

from __future__ import annotations

from typing import Any

import pytest

tf = pytest.importorskip("tensorflow")

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
    ids=["an effect", "a branch"],
)
def test_waits_for_more_stay(waiting: Any) -> None:
    given = graph(("x", "Placeholder", []), *waiting, ("y", "Relu", ["x", "^done"]))
    assert without_idle_waits(given) is given


def test_what_only_the_wait_binds_to_a_loop_stays_bound() -> None:
    given = graph(*WEIGHT, ("done", "NoOp", ["^read"]), ("step", "Const", ["^done"]))
    assert inputs_of(without_idle_waits(given))["step"] == ["^done"]
    assert inputs_of(without_idle_waits(given))["done"] == ["^read"]


def test_an_output_stays() -> None:
    given = graph(*WEIGHT, ("done", "NoOp", ["^read"]))
    assert "done" in inputs_of(without_idle_waits(given, ["done"]))
