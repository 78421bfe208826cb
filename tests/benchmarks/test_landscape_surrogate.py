"""Surrogates of recorded landscapes: what they recover, and their optimum."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nc_sigopt_benchmarks.research.landscapes.accuracy_fit import (
    ASSUMED_BOUND_SHARE,
    AccuracyCurve,
    assumed_accuracy,
    fit_accuracy,
)
from nc_sigopt_benchmarks.research.landscapes.held_out import held_out_errors
from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Values
from nc_sigopt_benchmarks.research.landscapes.landscape_file import (
    FORMAT,
    LandscapeRow,
    LandscapeWriter,
    RecordedLatency,
    read_landscape_file,
)
from nc_sigopt_benchmarks.research.landscapes.landscape_report import print_report
from nc_sigopt_benchmarks.research.landscapes.latency_fit import AdditiveLatency
from nc_sigopt_benchmarks.research.landscapes.noise_fit import AdditiveNoise, Group
from nc_sigopt_benchmarks.research.landscapes.optimum import NoOptimumError
from nc_sigopt_benchmarks.research.landscapes.optimum_check import OptimumCheck
from nc_sigopt_benchmarks.research.landscapes.recorded import recorded_landscape
from nc_sigopt_benchmarks.research.landscapes.surrogate import Readings, Surrogate, fit_surrogate
from nc_sigopt_benchmarks.research.landscapes.surrogate_optimum import surrogate_optimum
from nc_sigopt_strategy.errors import DataError

TYPES = ("int8", "bf16", "fp32")
OPS = 6
# The fifth op is a pooling: it has no weights, and its group is ops 4 to 6.
POOLING = 4
BASELINE = 0.8
CURVE = AccuracyCurve(BASELINE, scale=0.5, power=0.7)


def every_choice(ops: int) -> Choices:
    return np.array(list(itertools.product(range(len(TYPES)), repeat=ops)))


def true_latency(choices: Choices) -> Values:
    cost = np.array([0.1, 0.25, 0.3])
    own = np.linspace(0.5, 1.5, OPS)
    changes = (choices[:, :-1] != choices[:, 1:]).sum(axis=1)
    result: Values = (cost[choices] * own).sum(axis=1) + 0.05 * changes
    return result


def true_noise(choices: Choices) -> Values:
    int8 = np.geomspace(1e-4, 1e-2, OPS)
    bf16 = np.full(OPS, 1e-5)
    table = np.stack([int8, bf16, np.zeros(OPS)], axis=1)
    group = (choices[:, POOLING - 1 :] == 0).all(axis=1)
    result: Values = table[np.arange(OPS), choices].sum(axis=1) + 0.1 * group
    return result


def header(*, accuracy: bool) -> dict[str, Any]:
    names = [f"op{i}" for i in range(OPS)]
    ops = [
        {
            "name": name,
            "op_type": "pooling" if i == POOLING else "conv2d",
            "multiply_adds": 10.0 * i + 1,
            "output_elements": 5.0,
            "weight_elements": 0.0 if i == POOLING else 3.0,
        }
        for i, name in enumerate(names)
    ]
    return {
        "format": FORMAT,
        "kind": "landscape",
        "model": "fake",
        "weights": "random",
        "framework": "tensorflow",
        "parameters": [{"name": name, "values": list(TYPES)} for name in names],
        "op_graph": {
            "parameters": ops,
            "edges": [[a, b, 5.0] for a, b in itertools.pairwise(names)],
        },
        "default": ["int8"] * OPS,
        "baseline_accuracy": BASELINE if accuracy else None,
        "images": {"calibration": 1, "evaluation": 400 if accuracy else 0, "output_noise": 1},
        "relative_bound": 0.01,
        "batch_sizes": [20],
        "cpu": {"name": "a CPU", "cores": 2},
    }


def write(path: Path, *, accuracy: bool = True, rows: int = 120) -> Path:
    rng = np.random.default_rng(0)
    chosen = every_choice(OPS)[rng.permutation(len(TYPES) ** OPS)[:rows]]
    chosen[0] = 0
    noises, ratios = true_noise(chosen), true_latency(chosen)
    with LandscapeWriter(path, header(accuracy=accuracy)) as writer:
        for choice, noise, ratio in zip(chosen, noises, ratios, strict=True):
            writer.add(
                LandscapeRow(
                    "mix",
                    tuple(TYPES[v] for v in choice),
                    float(CURVE(noise)) if accuracy else None,
                    float(noise),
                    {20: RecordedLatency(float(ratio), 0.01 * float(ratio), 0.1)},
                )
            )
        writer.add(LandscapeRow("mix", ("fp32",) * OPS, failure="ValueError"))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("landscape") / "fake.jsonl")


def test_additive_truth_is_recovered(path: Path) -> None:
    recorded = read_landscape_file(path)
    surrogate = fit_surrogate(recorded, Readings.of(recorded, 20))
    choices = every_choice(OPS)
    assert surrogate.latency(choices) == pytest.approx(true_latency(choices), rel=0.03)
    noise = true_noise(choices)
    seen = noise > 1e-6
    assert np.log(surrogate.noise(choices)[seen] / noise[seen]) == pytest.approx(0.0, abs=0.3)
    assert surrogate.accuracy.noise_at(0.99 * BASELINE) == pytest.approx(
        CURVE.noise_at(0.99 * BASELINE), rel=0.05
    )


def test_held_out_errors_are_small_where_the_truth_is_additive(path: Path) -> None:
    errors = held_out_errors(read_landscape_file(path), 20)
    assert errors.rows == 120
    assert errors.latency_rmse < 0.02
    assert errors.latency_p90 < 0.03
    assert errors.latency_stderr == pytest.approx(0.01)
    assert errors.noise_log_rmse < 0.3
    assert errors.accuracy_rmse is not None
    assert errors.accuracy_rmse < 0.01
    assert errors.verdict_agreement is not None
    assert errors.verdict_agreement > 0.9


def test_rows_that_were_not_timed_tell_their_noise_and_no_latency(tmp_path: Path) -> None:
    file = write(tmp_path / "fake.jsonl", rows=60)
    before = read_landscape_file(file)
    alone = every_choice(OPS)[(every_choice(OPS) != 2).sum(axis=1) == 1]
    with LandscapeWriter(file, before.header) as writer:
        for choice, noise in zip(alone, 5 * true_noise(alone), strict=True):
            writer.add(
                LandscapeRow("mix", tuple(TYPES[v] for v in choice), float(CURVE(noise)), noise)
            )
    after = read_landscape_file(file)
    readings = Readings.of(after, 20)
    assert len(readings.ratios) == 60 + len(alone)
    assert readings.timed.sum() == 60
    assert readings.latency_error == pytest.approx(0.01)
    timed_only, surrogate = (fit_surrogate(r, Readings.of(r, 20)) for r in (before, after))
    choices = every_choice(OPS)
    assert surrogate.latency(choices) == pytest.approx(timed_only.latency(choices))
    assert (surrogate.noise(alone) > 1.05 * timed_only.noise(alone)).all()
    errors = held_out_errors(after, 20)
    assert errors.rows == 60 + len(alone)
    assert errors.latency_rmse < 0.03


def test_recorded_landscape_is_its_own_best(path: Path) -> None:
    landscape = recorded_landscape(path, 20)
    choices = every_choice(OPS)
    feasible = landscape.accuracy(choices) >= landscape.bound - 1e-12
    assert landscape.optimal_latency == pytest.approx(landscape.latency(choices[feasible]).min())
    assert landscape.bound == pytest.approx(0.99 * BASELINE)
    assert landscape.images >= 400
    assert not landscape.assumptions_hold, "the pooling's group"
    assert landscape.assignments(landscape.default) == {f"op{i}": "int8" for i in range(OPS)}


def test_accuracy_of_a_model_without_weights_is_assumed_and_said(tmp_path: Path) -> None:
    path = write(tmp_path / "fake.jsonl", accuracy=False)
    landscape = recorded_landscape(path, 20)
    assert "assumed accuracy" in landscape.name
    default = landscape.output_noise(landscape.default[None])
    at_bound = landscape.output_noise(landscape.optimum[None])
    assert at_bound[0] <= ASSUMED_BOUND_SHARE * default[0] * 1.001
    console = Console(width=200, record=True)
    print_report(path, None, console)
    said = console.export_text()
    assert "Accuracy is assumed" in said
    assert "121 rows, 1 of them failed" in said


def test_report_names_the_batch_sizes_there_are(path: Path) -> None:
    with pytest.raises(DataError, match=r"not recorded at batch size 7\. It was at 20\."):
        print_report(path, 7, Console())


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    recorded = read_landscape_file(write(tmp_path / "few.jsonl", rows=3))
    with pytest.raises(DataError, match="has 3 rows with a latency"):
        Readings.of(recorded, 20)


def random_surrogate(rng: np.random.Generator, ops: int) -> Surrogate:
    """Cheap int8, and groups that make some of it expensive."""
    latency = tuple(np.sort(rng.uniform(0.5, 2, 3)) for _ in range(ops))
    noise = tuple(np.array([rng.uniform(0, 1), 0.01, 0.0]) for _ in range(ops))
    pairs = tuple(
        (i, i + 1, rng.uniform(0, 0.5) * (1 - np.eye(len(TYPES)))) for i in range(ops - 1)
    )
    groups = tuple(
        Group(tuple(range(i, i + 3)), float(rng.uniform(0, 3))) for i in range(0, ops - 2, 2)
    )
    int8 = tuple(np.array([True, False, False]) for _ in range(ops))
    return Surrogate(
        AdditiveLatency(0.3, latency, pairs),
        AdditiveNoise(noise, groups, int8),
        AccuracyCurve(1.0, 1.0, 1.0),
    )


@pytest.mark.parametrize("seed", range(8))
def test_optimum_with_groups_is_that_of_trying_everything(seed: int) -> None:
    rng = np.random.default_rng(seed)
    surrogate = random_surrogate(rng, OPS)
    least = float(np.exp(-rng.uniform(0.3, 4.0)))
    choices = every_choice(OPS)
    feasible = surrogate.accuracy(surrogate.noise(choices)) >= least
    best = surrogate.latency(choices[feasible]).min()
    found = surrogate_optimum(surrogate, least)
    assert surrogate.accuracy(surrogate.noise(found[None]))[0] >= least - 1e-6
    assert surrogate.latency(found[None])[0] == pytest.approx(best, rel=1e-3)


def test_no_optimum_where_nothing_is_accurate_enough() -> None:
    surrogate = random_surrogate(np.random.default_rng(0), OPS)
    noise = AdditiveNoise(tuple(v + 1 for v in surrogate.noise.unary), (), surrogate.noise.int8)
    with pytest.raises(NoOptimumError):
        surrogate_optimum(Surrogate(surrogate.latency, noise, surrogate.accuracy), 0.99)


def test_accuracy_curve_falls_and_inverts() -> None:
    noises = np.geomspace(1e-5, 10, 50)
    assert (np.diff(CURVE(noises)) < 0).all()
    assert CURVE(np.array(CURVE.noise_at(0.75))) == pytest.approx(0.75)
    assert CURVE(np.zeros(1))[0] == BASELINE


def test_fitted_curve_withstands_an_outlier() -> None:
    noises = np.geomspace(1e-4, 1, 40)
    accuracies = CURVE(noises)
    accuracies[20] -= 0.3
    fitted = fit_accuracy(noises, accuracies, BASELINE)
    assert fitted.power == pytest.approx(CURVE.power, rel=0.1)
    assert not fitted.assumed


def test_assumed_curve_meets_the_bound_at_a_share_of_the_default() -> None:
    curve = assumed_accuracy(default_noise=0.2, relative_bound=0.01)
    assert curve.noise_at(0.99 * curve.baseline) == pytest.approx(0.2 * ASSUMED_BOUND_SHARE)
    assert curve.assumed


def test_check_says_what_was_predicted_and_measured() -> None:
    predicted = {"ratio": 1.5, "output_noise": 0.01, "accuracy": 0.79, "types": "6 int8"}
    latency = {20: RecordedLatency(1.6, 0.02, 0.1)}
    row = LandscapeRow("optimum", ("int8",) * OPS, 0.785, 0.012, latency)
    said = "\n".join(OptimumCheck("fake", 20, 0.792, predicted, row).sentences())
    assert "predicted 1.500, measured 1.600 ± 0.020" in said
    assert "measured 0.7850; at least 0.7920" in said
    failed = LandscapeRow("optimum", ("int8",) * OPS, failure="ValueError: no")
    (sentence,) = OptimumCheck("fake", 20, 0.792, predicted, failed).sentences()
    assert "cannot be built: ValueError: no" in sentence
    assert json.dumps(row.to_json())
