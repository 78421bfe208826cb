"""Short names tell ops apart, and a type has one colour wherever it is drawn."""

from __future__ import annotations

import random

import pytest

from nc_sigopt_strategy.reports.short_names import short_names
from nc_sigopt_strategy.reports.type_colours import type_colours


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["net/a/Conv", "net/b/Conv"], ["a", "b"]),
        (
            ["M/Conv_1_depthwise/depthwise", "M/Conv_1_pointwise/convolution", "L/Pool/AvgPool"],
            ["Conv_1_depthwise", "Conv_1_pointwise", "Pool"],
        ),
        (["/layer1/conv/Conv", "/layer2/conv/Conv", "/fc/Gemm"], ["layer1", "layer2", "fc"]),
        (["x/a, x/b, x/c", "x/d"], ["a +2", "d"]),
        (["only/one"], ["only/one"]),
        (["same", "same"], ["same", "same"]),
        ([], []),
    ],
)
def test_what_names_share_goes(names: list[str], short: list[str]) -> None:
    assert short_names(names) == short


@pytest.mark.parametrize("seed", range(20))
def test_different_names_stay_different(seed: int) -> None:
    draw = random.Random(seed)
    names = [
        draw.choice("/._").join(
            draw.choice(("conv", "bn", "a" * 30, "1", "")) for _ in range(draw.randint(1, 5))
        )
        for _ in range(30)
    ]
    short = short_names(names)
    assert len(set(short)) == len(set(names))


def test_a_type_has_one_colour() -> None:
    alone, among = type_colours(["fp32"]), type_colours(["int8", "int8-kl", "bf16", "fp32"])
    assert alone["fp32"] == among["fp32"]
    assert len(set(among.values())) == 4
    assert type_colours(["fp32", "int8"])["int8"] == among["int8"]
