"""Ops as parameters, without any host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.space.ops import Choices, Op, least_precise_first
from nc_sigopt_strategy.space.search_space import SpaceRequest, build_search_space

CONV = ("int8", "int8-kl", "bf16", "fp32")
OPS = (
    Op(("net/conv1", "conv2d"), CONV, "int8"),
    Op(("net/conv2", "conv2d"), CONV, "int8-kl"),
    Op(("net/softmax", "softmax"), ("bf16", "fp32"), "fp32"),
    Op(("net/reshape", "reshape"), ("fp32",), "fp32"),
)


@pytest.mark.parametrize(
    ("preset", "values"),
    [
        ("dtype", [("int8", "bf16", "fp32"), ("int8-kl", "bf16", "fp32"), ("bf16", "fp32")]),
        ("int8", [("int8", "int8-kl"), ("int8", "int8-kl"), ("bf16", "fp32")]),
        ("full", [CONV, CONV, ("bf16", "fp32")]),
    ],
)
def test_presets(preset: str, values: list[tuple[str, ...]]) -> None:
    space = build_search_space(OPS, [100], SpaceRequest(preset))
    assert [p.values for p in space.parameters] == values
    assert space.fixed == {OPS[3].key: "fp32"}
    assert space.ops == tuple(op.key for op in OPS)


def test_the_default_is_the_hosts() -> None:
    choices = build_search_space(OPS, [100]).decode(build_search_space(OPS, [100]).default)
    assert choices == Choices({op.key: op.default for op in OPS}, 100)


def test_least_precise_first_keeps_the_order_of_equals() -> None:
    labels = {"fp32": "fp32", "b": "static", "bf16": "bf16", "a": "static"}
    assert least_precise_first(labels) == ("b", "a", "bf16", "fp32")


@given(st.data())
@pytest.mark.parametrize("sizes", [(100,), (50, 100)])
def test_round_trip(sizes: tuple[int, ...], data: st.DataObject) -> None:
    space = build_search_space(OPS, sizes, SpaceRequest("full", max_parameters=2))
    assignments = {p.name: data.draw(st.sampled_from(p.values)) for p in space.parameters}
    choices = space.decode(assignments)
    assert space.encode(choices) == assignments
    assert set(choices.labels) == {op.key for op in OPS}
    assert choices.sampling_size in sizes


@pytest.mark.parametrize(
    ("labels", "run_as"),
    [(("int8", "bf16", "fp32"), "fp32"), (("int8", "bf16"), "bf16"), (("int8", "fp16"), "fp16")],
)
def test_what_is_excluded_is_left_in_the_widest_float_that_there_is(
    labels: tuple[str, ...], run_as: str
) -> None:
    op = Op(("dense", "MatMul"), labels, "int8")
    space = build_search_space([op], [100], SpaceRequest(excluded_ops=["dense"]))
    assert space.fixed == {op.key: run_as}


def test_what_is_int8_only_cannot_be_excluded() -> None:
    op = Op(("dense", "MatMul"), ("int8", "int8-kl"), "int8")
    with pytest.raises(SettingsError, match=r"excluded_ops: op 'dense' .* int8, int8-kl"):
        build_search_space([op], [100], SpaceRequest(excluded_ops=["dense"]))
