"""INC's tuning space as parameters, on capabilities like those of its adaptors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.hosts.inc.options import IncOptions
from nc_sigopt_strategy.space.search_space import (
    SearchSpace,
    SpaceRequest,
    build_search_space,
    parameter_aliases,
)

CONV = [
    {
        "weight": {
            "dtype": ["int8"],
            "scheme": ["sym"],
            "granularity": ["per_channel", "per_tensor"],
            "algorithm": ["minmax"],
        },
        "activation": {
            "dtype": ["int8", "uint8"],
            "scheme": ["sym"],
            "granularity": ["per_tensor"],
            "algorithm": ["minmax", "kl"],
            "quant_mode": "static",
        },
    },
    {"weight": {"dtype": "bf16"}, "activation": {"dtype": "bf16"}},
    {"weight": {"dtype": "fp32"}, "activation": {"dtype": "fp32"}},
]
POOL = [
    {
        "activation": {
            "dtype": ["uint8"],
            "algorithm": ["minmax"],
            "scheme": ["sym"],
            "granularity": ["per_tensor"],
            "quant_mode": "static",
        }
    },
    {"activation": {"dtype": "fp32"}},
]
OPS = {f"net/block{i}/conv": i for i in range(6)} | {"net/pool": 6}


class _Conf:
    op_type_dict = None
    op_name_dict = None


class Built(NamedTuple):
    """The two halves of the way between assignments and INC's configurations."""

    space: SearchSpace
    options: IncOptions
    tuning_space: Any

    def decode(self, assignments: Any) -> dict[Any, Any]:
        return self.options.configuration(self.space.decode(assignments))

    def encode(self, config: Any) -> dict[str, str]:
        return self.space.encode(self.options.choices_of(config))


def build(
    request: SpaceRequest | None = None,
    sizes: tuple[int, ...] = (100,),
    framework: str = "tensorflow",
) -> SearchSpace:
    return built(request, sizes, framework).space


def built(
    request: SpaceRequest | None = None,
    sizes: tuple[int, ...] = (100,),
    framework: str = "tensorflow",
    excluded_precisions: Sequence[str] = (),
    fused: Any = lambda ops, may_follow: {},
) -> Built:
    from neural_compressor.strategy.utils.tuning_space import (
        TuningSpace,
        initial_tuning_cfg_with_quant_mode,
    )

    # Reversed, as INC's TensorFlow adaptor lists them.
    capability = {
        (name, "pooling" if "pool" in name else "conv2d"): copy.deepcopy(
            POOL if "pool" in name else CONV
        )
        for name in reversed(OPS)
    }
    space = TuningSpace({"calib": {"calib_sampling_size": list(sizes)}, "op": capability}, _Conf())
    default = {
        op: initial_tuning_cfg_with_quant_mode(op, "static" if ways[1:] else "fp32", space)
        for op, ways in capability.items()
    }
    options = IncOptions(
        space,
        default,
        approach="post_training_static_quant",
        framework=framework,
        graph_order=OPS,
        excluded_precisions=excluded_precisions,
        fused=fused,
    )
    return Built(build_search_space(options.ops, sizes, request), options, space)


def test_default_preset_offers_best_int8_and_the_precise_types() -> None:
    space = build()
    assert [p.values for p in space.parameters] == [("int8", "bf16", "fp32")] * 6 + [
        ("int8", "fp32")
    ]
    assert space.size == 3**6 * 2


def test_parameters_follow_the_graph() -> None:
    assert [p.ops[0][0] for p in build().parameters] == list(OPS)


def test_excluded_precisions_are_not_offered_but_fp32_is() -> None:
    space = built(excluded_precisions=["bf16", "fp32"]).space
    assert space.parameters[0].values == ("int8", "fp32")


def test_equal_sampling_sizes_are_no_parameter() -> None:
    assert build(sizes=(16, 16)).parameters[-1].name != "calib_sampling_size"
    assert build(sizes=(16, 32, 16)).parameters[-1].values == ("16", "32")


def test_int8_preset_is_incs_classic() -> None:
    space = build(SpaceRequest("int8"))
    assert space.parameters[0].values == (
        "int8", "int8-per-tensor", "int8-kl", "int8-kl-per-tensor",
    )  # fmt: skip
    assert ("net/pool", "pooling") in space.fixed


def test_full_preset_offers_all() -> None:
    assert build(SpaceRequest("full")).parameters[0].values == (
        "int8", "int8-per-tensor", "int8-kl", "int8-kl-per-tensor", "bf16", "fp32",
    )  # fmt: skip


def test_option_that_the_adaptor_ignores_is_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONV[0]["weight"], "algorithm", ["minmax", "other"])  # type: ignore[arg-type]
    assert len(build(SpaceRequest("full")).parameters[0].values) == 6
    assert (
        len(build(SpaceRequest("full"), framework="onnxrt_qlinearops").parameters[0].values) == 10
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("preset", ["dtype", "int8", "full"])
def test_round_trip(preset: str, data: Any) -> None:
    both = built(SpaceRequest(preset), sizes=(50, 100))
    assignments = {p.name: data.draw(st.sampled_from(p.values)) for p in both.space.parameters}
    config = both.decode(assignments)
    assert both.encode(config) == assignments
    again = both.decode(both.encode(config))
    assert _states(again) == _states(config)
    assert config["calib_sampling_size"] == int(assignments["calib_sampling_size"])


def test_default_assignments_are_incs_default() -> None:
    both = built()
    config = both.decode(both.space.default)
    state = config[("net/block0/conv", "conv2d")].get_state()
    assert state["activation"]["quant_mode"] == "static"
    assert state["activation"]["algorithm"] == "minmax"
    assert state["weight"]["granularity"] == "per_channel"


def test_fp32_state_is_what_inc_builds() -> None:
    from neural_compressor.strategy.utils.tuning_structs import OpTuningConfig

    both = built()
    everything = {p.name: "fp32" for p in both.space.parameters}
    op = ("net/block1/conv", "conv2d")
    ours = both.decode(everything)[op].get_state()
    assert ours == OpTuningConfig(*op, "fp32", both.tuning_space).get_state()


def test_wrong_value_is_named() -> None:
    space = build()
    with pytest.raises(SettingsError, match=r"no value 'int4'.*int8, bf16, fp32"):
        space.decode({p.name: "int4" for p in space.parameters})


def test_locks_and_exclusions() -> None:
    both = built(SpaceRequest(locked_ops={"block2": "bf16"}, excluded_ops=["pool$"]))
    space = both.space
    assert space.fixed == {("net/block2/conv", "conv2d"): "bf16", ("net/pool", "pooling"): "fp32"}
    config = both.decode(space.default)
    assert config[("net/block2/conv", "conv2d")].act_dtype == "bf16"
    assert config[("net/pool", "pooling")].act_dtype == "fp32"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (SpaceRequest(excluded_ops=["nowhere"]), "excluded_ops: 'nowhere' matches none of the 7"),
        (SpaceRequest(locked_ops={"pool": "bf16"}), "cannot run as 'bf16'.*int8, fp32"),
    ],
)
def test_wrong_locks(request_: SpaceRequest, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        build(request_)


def test_grouping_to_stay_under_a_limit() -> None:
    both = built(SpaceRequest(max_parameters=3))
    space = both.space
    assert len(space.parameters) == 3
    assert (
        sorted(len(p.ops) for p in space.parameters) == [1, 2, 4]
        or sum(len(p.ops) for p in space.parameters) == 7
    )
    config = both.decode({p.name: "fp32" for p in space.parameters})
    assert all(c.act_dtype == "fp32" for op, c in config.items() if isinstance(op, tuple))


def test_aliases_are_short_unique_and_stable() -> None:
    long = "a/" * 120 + "conv"
    ops = [("m/x/conv", "conv2d"), ("m/x/conv", "matmul"), ("m/" + long, "conv2d"),
           ("m/b" + long, "conv2d"), ("m/calib_sampling_size", "conv2d")]  # fmt: skip
    aliases = parameter_aliases(ops)
    assert len(set(aliases.values())) == len(ops)
    assert all(1 <= len(name) <= 100 for name in aliases.values())
    assert aliases == parameter_aliases(list(reversed(ops))) | aliases
    assert aliases[ops[0]] == "x/conv"
    assert "calib_sampling_size" not in aliases.values()


def test_aliases_do_not_depend_on_locks() -> None:
    free = {p.ops[0]: p.name for p in build().parameters}
    locked = build(SpaceRequest(excluded_ops=["block0", "block1"]))
    assert all(free[p.ops[0]] == p.name for p in locked.parameters)


def test_describe_is_json_safe() -> None:
    import json

    assert json.loads(json.dumps(build().describe()))["parameters"][0]["values"] == [
        "int8", "bf16", "fp32",
    ]  # fmt: skip


def _states(config: Any) -> dict[Any, Any]:
    return {op: c.get_state() for op, c in config.items() if isinstance(op, tuple)}


def built_with_pools_fused(request: SpaceRequest | None = None) -> Built:
    """The last pool is part of the convolution before it, if it may be."""
    pairs = {("net/pool", "pooling"): ("net/block5/conv", "conv2d")}

    def fused(ops: Any, may_follow: Any) -> Any:
        assert set(ops) >= set(pairs)
        return {a: b for a, b in pairs.items() if may_follow(a, b)}

    return built(request, fused=fused)


def test_what_is_fused_is_one_parameter_and_runs_as_one() -> None:
    both = built_with_pools_fused()
    assert [p.ops[0][0] for p in both.space.parameters] == list(OPS)[:-1]
    conv, pool = ("net/block5/conv", "conv2d"), ("net/pool", "pooling")
    chosen = dict(both.space.default)
    for label, of_conv, of_pool in (
        ("int8", "static", "static"), ("fp32", "fp32", "fp32"), ("bf16", "bf16", "fp32"),
    ):  # fmt: skip
        chosen[both.space.parameters[-1].name] = label
        config = both.decode(chosen)
        modes = [c.op_quant_mode for c in (config[conv], config[pool])]
        assert modes == [of_conv, of_pool]
        assert both.encode(config) == chosen


def test_a_member_takes_what_it_has_of_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POOL[0]["activation"], "algorithm", ["minmax", "kl"])
    both = built_with_pools_fused(SpaceRequest("full"))
    chosen = dict(both.space.default) | {both.space.parameters[-1].name: "int8-kl-per-tensor"}
    state = both.decode(chosen)[("net/pool", "pooling")].get_state()
    assert state["activation"]["algorithm"] == "kl"


def test_one_that_cannot_follow_is_a_parameter_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.hosts.test_options.POOL", POOL[1:])
    both = built_with_pools_fused()
    assert ("net/pool", "pooling") in both.space.fixed
    assert len(both.options.ops) == len(OPS)


def test_the_name_of_a_member_stands_for_its_group() -> None:
    locked = built_with_pools_fused(SpaceRequest(locked_ops={"pool$": "bf16"})).space
    assert locked.fixed == {("net/block5/conv", "conv2d"): "bf16"}
    excluded = built_with_pools_fused(SpaceRequest(excluded_ops=["pool$"])).space
    assert excluded.fixed == {("net/block5/conv", "conv2d"): "fp32"}


def test_locks_that_contradict_each_other_within_a_group() -> None:
    locks = {"pool$": "int8", "block5": "fp32"}
    with pytest.raises(SettingsError, match=r"'net/block5/conv'.*'fp32'.*'net/pool'.*'int8'"):
        built_with_pools_fused(SpaceRequest(locked_ops=locks))
    # A pattern that names both stands for both, and a later one for the same name replaces it.
    locks = {"net/": "fp32", "block5": "int8"}
    fixed = built_with_pools_fused(SpaceRequest(locked_ops=locks)).space.fixed
    assert fixed[("net/block5/conv", "conv2d")] == "int8"
