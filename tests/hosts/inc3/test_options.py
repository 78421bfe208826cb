"""What Neural Compressor 3 offers for an op, as labels, and labels as its configuration."""

from __future__ import annotations

import json
import re
from typing import Any

from nc_sigopt_strategy.hosts.inc3.options import Options
from nc_sigopt_strategy.space.ops import Choices

FLOATS = [{"activation": {"dtype": name}, "weight": {"dtype": name}} for name in ("bf16", "fp32")]
CONVOLUTION = {
    "activation": {
        "dtype": ["int8", "uint8"],
        "scheme": ["sym", "asym"],
        "algorithm": ["minmax", "kl"],
        "granularity": ["per_tensor"],
    },
    "weight": {
        "dtype": ["int8"],
        "scheme": ["sym"],
        "granularity": ["per_channel", "per_tensor"],
        "algorithm": ["minmax"],
    },
}
POOLING = {"activation": {"dtype": ["uint8"], "scheme": ["sym"], "algorithm": ["minmax"]}}
BF16_ONLY = [
    {"activation": {"dtype": ["bf16"]}, "weight": {"dtype": ["bf16"]}},
    {"activation": {"dtype": "fp32"}, "weight": {"dtype": "fp32"}},
]
CONV, POOL, RELU = ("net/conv+1", "conv2d"), ("net/pool", "pooling"), ("net/relu", "Relu")


def options() -> Options:
    capability = {RELU: BF16_ONLY, POOL: [POOLING, FLOATS[1]], CONV: [CONVOLUTION, *FLOATS]}
    return Options(capability, {"net/conv+1": 0, "net/relu": 1, "net/pool": 2})


def test_labels_are_those_of_the_earlier_host() -> None:
    conv, pool = options().ops
    assert (conv.key, pool.key) == (CONV, POOL)
    assert conv.default == pool.default == "int8"
    assert conv.labels == (
        "int8",
        "int8-per-tensor",
        "int8-asym",
        "int8-asym-per-tensor",
        "int8-kl",
        "int8-kl-per-tensor",
        "int8-kl-asym",
        "int8-kl-asym-per-tensor",
        "bf16",
        "fp32",
    )
    assert pool.labels == ("int8", "fp32")


def local(**labels: str) -> Any:
    chosen = Choices({CONV: labels["conv"], POOL: labels.get("pool", "fp32")}, 8)
    config = json.loads(json.dumps(options().quant_config(chosen)))
    assert config["global"] == {"act_dtype": "fp32", "weight_dtype": "fp32"}
    return config["local"]


def test_a_label_says_what_differs_from_the_default() -> None:
    conv, pool = local(conv="int8-kl-asym-per-tensor", pool="int8").values()
    assert conv == {
        "act_dtype": "int8",
        "act_sym": False,
        "act_algorithm": "kl",
        "weight_dtype": "int8",
        "weight_granularity": "per_tensor",
    }
    assert pool["act_dtype"] == "uint8"
    usual, _ = local(conv="int8").values()
    assert (usual["act_sym"], usual["act_algorithm"]) == (True, "minmax")
    assert usual["weight_granularity"] == "per_channel"
    assert next(iter(local(conv="bf16").values())) == {"act_dtype": "bf16", "weight_dtype": "bf16"}


def test_a_pattern_matches_one_name() -> None:
    pattern = next(iter(local(conv="int8")))
    assert re.match(pattern, "net/conv+1")
    for other in ("net/conv+10", "net/conv+1/bias", "net/convv1", "net/conv+1\n"):
        assert not re.match(pattern, other)
