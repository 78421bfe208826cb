"""Probes: what they tell the sampler, and what it makes of those that are wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.landscapes.synthetic import synthetic_landscape
from nc_sigopt_strategy.engine.driver import EmbeddedDriver
from nc_sigopt_strategy.sampling.probes import NOISE_ERROR, Probe, Probing
from nc_sigopt_strategy.sampling.quantization.latency_model import LatencyModel
from nc_sigopt_strategy.sampling.quantization.noise_model import NoiseModel
from nc_sigopt_strategy.sampling.quantization.op_contrasts import OpContrasts
from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.probe_arrays import ProbeArrays
from nc_sigopt_strategy.sampling.quantization.trial_arrays import TrialArrays

TYPES = ("int8", "bf16", "fp32")


def space_of(landscape: Landscape) -> OpSpace:
    domains = {n: CategoricalDistribution(v) for n, v in sorted(landscape.parameters.items())}
    return OpSpace.of(domains, landscape.op_graph)


def mixes(landscape: Landscape, count: int, seed: int) -> Integers:
    rng = np.random.default_rng(seed)
    return rng.choice([0, 2], (count, len(landscape.parameters)))


def modelled(model: NoiseModel, space: OpSpace, choices: Integers) -> Floats:
    """Median over draws of the noise of configurations, shape (N,)."""
    tables = model.draws(np.random.default_rng(1), 16)
    rows = np.arange(len(space.names))
    sums = [[table[rows, choice].sum() for choice in choices] for table in tables]
    found: Floats = np.median(sums, axis=0)
    return found


@pytest.mark.parametrize("family", ["chain", "few-sensitive"])
def test_singles_tell_what_mixes_do_before_any_mix_was_tried(family: str) -> None:
    landscape = synthetic_landscape(family, 1)
    space = space_of(landscape)
    probes = ProbeArrays.of(landscape.probing(np.random.default_rng(0)).found, space)
    default = landscape.default[None]
    noise = landscape.output_noise(default)
    unknown = mixes(landscape, 20, 2)
    truth = np.log(landscape.output_noise(unknown))

    told = modelled(NoiseModel(space, default, noise, probes=probes), space, unknown)
    guessed = modelled(NoiseModel(space, default, noise), space, unknown)

    assert np.median(np.abs(np.log(told) - truth)) < 0.25
    assert np.median(np.abs(np.log(told) - truth)) < np.median(np.abs(np.log(guessed) - truth))


def test_trials_win_over_probes_that_are_a_hundred_times_too_low() -> None:
    """One op's probe says it does nothing; with and without it, the trials say otherwise."""
    landscape = synthetic_landscape("chain", 3)
    space = space_of(landscape)
    noisiest = int(np.argmax([landscape.output_noise(row[None])[0] for row in _alone(landscape)]))
    probes = [
        Probe(probe.values, noise=(probe.noise or 0) * (0.01 if n == noisiest else 1))
        for n, probe in enumerate(landscape.probing(np.random.default_rng(0)).found)
        if probe.noise is not None
    ]
    trials = mixes(landscape, 16, 5)
    model = NoiseModel(
        space, trials, landscape.output_noise(trials), probes=ProbeArrays.of(probes, space)
    )
    alone = _alone(landscape)[noisiest][None]
    found = modelled(model, space, alone)[0] / landscape.output_noise(alone)[0]
    assert 0.4 < found < 2.0


def _alone(landscape: Landscape) -> Integers:
    count = len(landscape.parameters)
    rows = np.full((count, count), 2)
    np.fill_diagonal(rows, 0)
    return rows


def test_a_group_is_the_sum_of_its_members() -> None:
    domains = {f"p{n}": CategoricalDistribution(TYPES) for n in range(4)}
    space = OpSpace.of(domains, None)
    groups = [
        Probe({"p0": "int8", "p1": "int8"}, noise=1e-4),
        Probe({"p2": "int8", "p3": "int8"}, noise=1e-2),
    ]
    trial = np.zeros((1, 4), np.int64)
    model = NoiseModel(space, trial, np.array([1e-2]), probes=ProbeArrays.of(groups, space))
    first = modelled(model, space, np.array([[0, 0, 2, 2]]))[0]
    second = modelled(model, space, np.array([[2, 2, 0, 0]]))[0]
    assert 0.5e-4 < first < 2e-4
    assert 0.5e-2 < second < 2e-2


def noisy_in_bf16(landscape: Landscape, times: float) -> Landscape:
    """The same, but every op makes so many times as much noise in bf16."""
    exact = np.full((1, len(landscape.parameters)), 2)

    def truth(choices: Integers) -> Floats:
        rounded = np.where(choices == 1, choices, exact)
        more: Floats = landscape.output_noise(choices)
        return more + (times - 1) * landscape.output_noise(rounded)

    return dataclasses.replace(landscape, output_noise=truth)


@pytest.mark.parametrize("times", [0.1, 1.0, 10.0, 100.0])
def test_the_model_in_bf16_tells_what_bf16_adds_to_mixes(times: float) -> None:
    landscape = noisy_in_bf16(synthetic_landscape("chain", 3), times)
    space = space_of(landscape)
    probes = ProbeArrays.of(landscape.probing(np.random.default_rng(0)).found, space)
    default = landscape.default[None]
    model = NoiseModel(space, default, landscape.output_noise(default), probes=probes)
    whole = np.ones_like(default)
    found = modelled(model, space, whole) / landscape.output_noise(whole)
    assert found[0] == pytest.approx(1.0, rel=0.3)
    # Which ops it is that make it is known of their int8 only.
    halves = np.random.default_rng(1).choice([1, 2], (20, len(space.names)))
    off = np.log(modelled(model, space, halves) / landscape.output_noise(halves))
    assert np.median(np.abs(off)) < 1.2


def test_a_trial_in_bf16_tells_what_bf16_adds_where_nothing_was_probed() -> None:
    landscape = noisy_in_bf16(synthetic_landscape("chain", 3), 100.0)
    space = space_of(landscape)
    trials = np.stack([landscape.default, np.ones_like(landscape.default)])
    model = NoiseModel(space, trials, landscape.output_noise(trials))
    half = np.arange(len(space.names))[None] % 2 + 1
    assert modelled(model, space, half)[0] > 0.2 * landscape.output_noise(trials)[1]


def test_timed_models_tell_what_the_types_cost() -> None:
    landscape = synthetic_landscape("chain", 0)
    space = space_of(landscape)
    probes = ProbeArrays.of(landscape.probing(np.random.default_rng(0)).found, space)
    none = np.empty((0, len(space.names)), np.int64)
    default = landscape.default[None]
    latency = landscape.latency(default)
    history = TrialArrays(
        default, latency, 0.01 * latency, None, None, none, none, None, probes=probes
    )
    for value in (1, 2):
        uniform = np.full_like(default, value)
        expected = LatencyModel.of(space, history).expected(space.types_of(uniform))
        assert expected[0] == pytest.approx(landscape.latency(uniform)[0], rel=0.1)


def modelled_latency(landscape: Landscape, probes: list[Probe], trials: Integers) -> LatencyModel:
    space = space_of(landscape)
    none = np.empty((0, len(space.names)), np.int64)
    latency = landscape.latency(trials)
    arrays = ProbeArrays.of(probes, space)
    return LatencyModel.of(
        space,
        TrialArrays(trials, latency, 0.01 * latency, None, None, none, none, None, probes=arrays),
    )


def price_errors(landscape: Landscape, probes: list[Probe]) -> float:
    """Of what each op costs more in fp32 than in int8, after one trial; as a share of the prices.

    Root mean squares of both.
    """
    model = modelled_latency(landscape, probes, landscape.default[None])
    fp32 = space_of(landscape).types.index("fp32")
    true = np.array([row[-1] - row[0] for row in landscape.op_latency])
    return float(np.linalg.norm(model.mean().ops[:, fp32] - true) / np.linalg.norm(true))


@pytest.mark.parametrize("family", ["chain", "variants"])
@pytest.mark.parametrize("seed", range(3))
def test_profiles_tell_what_single_ops_cost(family: str, seed: int) -> None:
    landscape = synthetic_landscape(family, seed)
    found = list(landscape.probing(np.random.default_rng(seed)).found)
    whole = [probe for probe in found if not probe.op_latency]
    told, guessed = price_errors(landscape, found), price_errors(landscape, whole)
    assert told < 0.3
    assert told < 0.8 * guessed


@pytest.mark.parametrize("seed", range(3))
def test_trials_win_over_profiles_that_say_the_opposite(seed: int) -> None:
    landscape = synthetic_landscape("residual", seed)
    space = space_of(landscape)
    found = list(landscape.probing(np.random.default_rng(0)).found)
    names = list(landscape.parameters)
    lies = [
        dataclasses.replace(
            probe, op_latency=dict(zip(names, reversed(probe.op_latency.values()), strict=True))
        )
        if probe.op_latency
        else probe
        for probe in found
    ]
    many = mixes(landscape, 80, 3)
    unknown = mixes(landscape, 40, 9)
    expected = modelled_latency(landscape, lies, many).expected(space.types_of(unknown))
    assert np.median(np.abs(expected / landscape.latency(unknown) - 1)) < 0.045


def test_a_contrast_is_the_difference_of_two_profiles() -> None:
    domains = {name: CategoricalDistribution(TYPES) for name in ("a", "b", "c")}
    space = OpSpace.of(domains, None)
    probes = [
        Probe(dict.fromkeys("abc", "int8"), op_latency={"a": 1.0, "b": 2.0}),
        Probe({}, op_latency={"a": 4.0, "c": 5.0}, op_latency_error=0.1),
        Probe({"c": "bf16"}, op_latency={"a": 6.0}, op_latency_error=0.1),
        Probe({"a": "bf16"}, noise=1.0),
    ]
    contrasts = OpContrasts.of(ProbeArrays.of(probes, space), space)
    fp32 = space.types.index("fp32")
    assert contrasts.ops.tolist() == [0]
    assert contrasts.types.tolist() == [fp32]
    assert contrasts.difference == pytest.approx([4.0])
    assert contrasts.stderr == pytest.approx([np.hypot(0.2, 0.5)], rel=0.1)


def test_without_profiles_there_are_no_contrasts() -> None:
    space = OpSpace.of({"a": CategoricalDistribution(TYPES)}, None)
    contrasts = OpContrasts.of(ProbeArrays.of([Probe({}, latency=1.0)], space), space)
    assert len(contrasts.difference) == 0


def test_probes_of_another_space_are_left_out() -> None:
    space = OpSpace.of({"p": CategoricalDistribution(TYPES)}, None)
    known = [
        Probe({"p": "int4"}, noise=1.0),
        Probe({"q": "int8"}, noise=1.0),
        Probe({"p": "int8"}, noise=0.5),
    ]
    arrays = ProbeArrays.of(known, space)
    assert arrays.choices.tolist() == [[0]]
    assert arrays.noise.tolist() == [0.5]


def test_what_is_stored_is_read_again() -> None:
    probing = Probing(
        (
            Probe({"a": "int8"}, noise=1.25e-3, noise_error=0.3),
            Probe({}, latency=0.25, latency_stderr=0.01),
            Probe({"a": "bf16"}, op_latency={"a": 0.125, "b": 0.0}, op_latency_error=0.1),
        ),
        done=True,
        noise_limit=0.02,
    )
    assert Probing.from_json(json.loads(json.dumps(probing.to_json()))) == probing


@pytest.mark.parametrize(
    "junk",
    [
        None,
        5,
        "x",
        {"values": "a", "noise": 1.0},
        {"values": {"a": "int8"}},
        {"values": {"a": "int8"}, "noise": -1.0},
        {"values": {"a": "int8"}, "noise": True},
        {"values": {"a": "int8"}, "noise": float("nan")},
        {"values": {"a": "int8"}, "noise": 10**400},
        {"values": {"a": "int8"}, "latency": 0},
        {"values": {"a": "int8"}, "op_latency": {}},
        {"values": {"a": "int8"}, "op_latency": [1.0]},
        {"values": {"a": "int8"}, "op_latency": {"a": -1.0, "b": "1", "c": float("inf")}},
    ],
)
def test_what_is_no_probe_is_left_out(junk: Any) -> None:
    good = {"values": {"a": "int8"}, "noise": 0.5}
    probing = Probing.from_json({"found": [junk, good], "done": True})
    assert probing == Probing((Probe({"a": "int8"}, noise=0.5, noise_error=NOISE_ERROR),), True)


@pytest.mark.parametrize("junk", [0, -1.0, "1", True, float("nan"), float("inf"), [1.0]])
def test_what_is_no_noise_limit_is_none(junk: Any) -> None:
    probing = Probing.from_json({"found": [], "noise_limit": junk})
    assert probing is not None
    assert probing.noise_limit is None


@pytest.mark.parametrize("junk", [None, [], "found", {"found": 3}, {"done": True}])
def test_what_is_no_record_of_probes(junk: Any) -> None:
    assert Probing.from_json(junk) is None


def test_an_experiment_over_the_api_is_told_by_its_record(tmp_path: Path) -> None:
    """What only the record's probes can tell: which of twelve ops must not be in int8."""
    driver = EmbeddedDriver(f"sqlite:///{tmp_path}/store.db", seed=0)
    names = [f"op{n}" for n in range(12)]
    experiment = _asked(
        driver,
        "POST",
        ("experiments",),
        name="probed",
        observation_budget=20,
        parameters=[
            {"name": name, "type": "categorical", "categorical_values": list(TYPES)}
            for name in names
        ],
        metrics=[
            {"name": "latency", "objective": "minimize", "strategy": "optimize"},
            {"name": "accuracy", "objective": "maximize", "strategy": "constraint",
             "threshold": 0.89},
            {"name": "output_noise", "strategy": "store"},
        ],
    )  # fmt: skip
    known = experiment["id"]
    _asked(
        driver, "POST", ("experiments", known, "observations"),
        assignments=dict.fromkeys(names, "int8"),
        values=[
            {"name": "latency", "value": 1.0, "value_stddev": 0.01},
            {"name": "accuracy", "value": 0.8},
            {"name": "output_noise", "value": 0.1},
        ],
    )  # fmt: skip
    noises = {name: 0.098 if name == "op7" else 1e-5 for name in names}
    probing = Probing(
        (
            *(Probe({name: "int8"}, noise=noise) for name, noise in noises.items()),
            Probe({}, latency=4.0, latency_stderr=0.04),
            Probe(dict.fromkeys(names, "bf16"), latency=2.0, latency_stderr=0.02),
        ),
        done=True,
    )
    record = {"baseline_accuracy": 0.9, "probes": probing.to_json()}
    _asked(driver, "PUT", ("experiments", known, "record"), record=record)

    chosen = _asked(driver, "POST", ("experiments", known, "suggestions"))["assignments"]

    assert chosen["op7"] != "int8"
    assert sum(value == "int8" for value in chosen.values()) >= 9
    driver.close()


def _asked(driver: EmbeddedDriver, method: str, path: tuple[str, ...], **data: Any) -> Any:
    return driver.answer(method, path, data)
