"""Where a front is wanted: the accuracy to ask for, and how well samplers cover a known front."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import create_trial

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.landscapes.synthetic import synthetic_landscape
from nc_sigopt_strategy.sampling import Reading, TuningExperiment, make_sampler
from nc_sigopt_strategy.sampling.asking import ask, derived_seed
from nc_sigopt_strategy.sampling.quantization.front_threshold import draw_threshold
from nc_sigopt_strategy.sampling.quantization.op_space import Integers

TRIALS, SEEDS = 40, (1, 2, 3)


def experiment(**changes: Any) -> TuningExperiment:
    def read(trial: Any) -> Reading:
        return Reading(**trial.user_attrs["reading"])

    return TuningExperiment(**{"read": read, "wants_front": True, **changes})


def draws(readings: list[Reading], told: TuningExperiment) -> list[float]:
    rng = np.random.default_rng(0)
    drawn = [draw_threshold(readings, told, rng) for _ in range(200)]
    assert all(value is not None for value in drawn)
    return [value for value in drawn if value is not None]


def test_thresholds_lie_between_the_fastest_models_accuracy_and_fp32s() -> None:
    # The slow one that is worse than the fastest is of no use, whatever its accuracy.
    readings = [Reading(1.0, accuracy=0.8), Reading(3.0, accuracy=0.1), Reading(2.0, accuracy=0.9)]
    drawn = draws(readings, experiment(baseline_accuracy=0.95))
    assert 0.8 <= min(drawn) < 0.81
    assert 0.94 < max(drawn) <= 0.95
    without_baseline = draws(readings, experiment())
    assert 0.89 < max(without_baseline) <= 0.9


def test_thresholds_where_lower_is_better() -> None:
    readings = [Reading(1.0, accuracy=0.5), Reading(3.0, accuracy=0.3)]
    drawn = draws(readings, experiment(baseline_accuracy=0.2, maximize_accuracy=False))
    assert 0.2 <= min(drawn) < 0.21
    assert 0.49 < max(drawn) <= 0.5


def test_no_threshold_is_drawn_beyond_what_fp32_has() -> None:
    told, rng = experiment(baseline_accuracy=0.9), np.random.default_rng(0)
    assert draw_threshold([Reading(1.0, accuracy=0.91)], told, rng) == 0.9
    assert draw_threshold([], told, rng) is None
    assert draw_threshold([Reading(1.0)], told, rng) is None


@cache
def coverage(sampler: str, family: str, seed: int) -> float:
    """Share of the area between all int8 and all fp32 that a run's models dominate."""
    landscape = synthetic_landscape(family, seed)
    found = np.array(_run(landscape, sampler, seed))
    corners = np.array([np.zeros_like(found[0]), np.full_like(found[0], 2)])
    latency, accuracy = landscape.latency(found), landscape.accuracy(found)
    (fast, slow), (worst, best) = landscape.latency(corners), landscape.accuracy(corners)
    area, reached = 0.0, worst
    for n in np.lexsort((-accuracy, latency)):
        if accuracy[n] > reached and latency[n] < slow:
            area += (slow - latency[n]) * (accuracy[n] - reached)
            reached = accuracy[n]
    return float(area / ((slow - fast) * (best - worst)))


def _run(landscape: Landscape, sampler: str, seed: int) -> list[Integers]:
    """What a sampler tries after the corners, asked as the embedded engine asks it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage, directions=["maximize", "minimize"])
    space = {n: CategoricalDistribution(v) for n, v in sorted(landscape.parameters.items())}
    told = experiment(baseline_accuracy=landscape.baseline_accuracy, op_graph=landscape.op_graph)
    rng = np.random.default_rng(seed)
    tried: list[Integers] = [np.full(len(space), value) for value in range(3)]
    for number in range(TRIALS):
        if number >= len(tried):
            made = make_sampler(
                sampler,
                seed=derived_seed(seed, number),
                search_space=space,
                constraints_func=None,
                experiment=told,
            )
            # TPE reads from a cache of the study that only a new one fills anew.
            fresh = optuna.load_study(study_name=study.study_name, storage=storage)
            tried.append(landscape.positions(ask(made, fresh, space, number)))
        look = landscape.look(tried[number], rng)
        study.add_trial(
            create_trial(
                values=[look.accuracy, look.latency],
                params=landscape.assignments(tried[number]),
                distributions=space,
                user_attrs={"reading": vars(look)},
            )
        )
    return tried


@pytest.mark.parametrize("family", ["chain", "residual"])
def test_the_quantization_sampler_covers_the_front(family: str) -> None:
    """By far better than random search, which adds next to nothing to the corners."""
    ours = [coverage("quantization", family, seed) for seed in SEEDS]
    random = [coverage("random", family, seed) for seed in SEEDS]
    assert all(a > b for a, b in zip(ours, random, strict=True))
    # What the corners leave open counts.
    assert np.mean(1 - np.array(ours)) < 0.6 * np.mean(1 - np.array(random))
