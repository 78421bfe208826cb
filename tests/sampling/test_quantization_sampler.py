"""The sampler that knows quantization: its parts on known truths, and its promises."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.landscapes.optimum import AdditiveProgram, solve_optimum
from nc_sigopt_benchmarks.research.landscapes.synthetic import synthetic_landscape
from nc_sigopt_strategy.sampling import Reading, TuningExperiment, make_sampler
from nc_sigopt_strategy.sampling.quantization import QuantizationSampler
from nc_sigopt_strategy.sampling.quantization.accuracy_model import AccuracyModel
from nc_sigopt_strategy.sampling.quantization.assignment_problem import AssignmentProblem, solve
from nc_sigopt_strategy.sampling.quantization.damage import learn_damage
from nc_sigopt_strategy.sampling.quantization.latency_model import LatencyModel
from nc_sigopt_strategy.sampling.quantization.noise_model import NoiseModel
from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.suggestion import suggest
from nc_sigopt_strategy.sampling.quantization.trial_arrays import (
    FIRST,
    LEARNED_FROM,
    TrialArrays,
    key,
)

TYPES = ("int8", "bf16", "fp32")


def _space(landscape: Landscape) -> OpSpace:
    domains = {n: CategoricalDistribution(v) for n, v in sorted(landscape.parameters.items())}
    return OpSpace.of(domains, landscape.op_graph)


def _experiment(landscape: Landscape, **changes: Any) -> TuningExperiment:
    settings = {
        "read": lambda trial: Reading(**trial.user_attrs["reading"]),
        "accuracy_threshold": landscape.bound,
        "baseline_accuracy": landscape.baseline_accuracy,
        "op_graph": landscape.op_graph,
    }
    return TuningExperiment(**{**settings, **changes})


def _random_choices(landscape: Landscape, count: int, seed: int) -> Integers:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet([0.5] * 3, count)
    return np.array([rng.choice(3, len(landscape.parameters), p=share) for share in shares])


def _history(
    landscape: Landscape, choices: Integers, seed: int = 0, *, with_noise: bool = True
) -> TrialArrays:
    rng = np.random.default_rng(seed)
    looks = [landscape.look(choice, rng) for choice in choices]
    none = np.empty((0, choices.shape[1]), np.int64)
    return TrialArrays(
        choices=choices,
        latency=np.array([look.latency for look in looks]),
        latency_stderr=np.array([look.latency_stderr for look in looks]),
        accuracy=np.array([look.accuracy for look in looks]),
        noise=np.array([look.output_noise for look in looks]) if with_noise else None,
        pending=none,
        failed=none,
        bound=landscape.bound,
    )


# The problem of one draw


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", ["chain", "tree", "dense"])
def test_the_solution_is_near_the_proven_optimum(shape: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 24
    edges = {
        "chain": [(i, i + 1) for i in range(count - 1)],
        "tree": [(int(rng.integers(j)), j) for j in range(1, count)],
        # More neighbours than exact elimination takes.
        "dense": [(i, j) for i in range(count) for j in range(i + 1, count) if (i * j) % 3 == 1],
    }[shape]
    cost = rng.exponential(1.0, (count, 3))
    weight = np.exp(rng.normal(0, 1.5, (count, 3))) * [1.0, 0.01, 0.0]
    edge_cost = rng.exponential(0.2, (len(edges), 1, 1)) * (1 - np.eye(3))
    problem = AssignmentProblem(cost, weight, 0.1 * weight[:, 0].sum(), np.array(edges), edge_cost)
    types = solve(problem)
    pairs = [(i, j, table) for (i, j), table in zip(edges, edge_cost, strict=True)]
    proven = solve_optimum(AdditiveProgram(list(cost), list(weight), problem.limit, pairs))
    (found, best), (heaviness, _) = problem.total(np.array([types, proven]))
    assert heaviness <= problem.limit
    assert found >= best - 1e-9
    assert found <= 1.05 * best


def test_a_limit_that_nothing_keeps_gives_the_lightest() -> None:
    weight = np.array([[3.0, 2.0], [5.0, 4.0]])
    none = np.empty((0, 2), np.int64), np.empty((0, 2, 2))
    problem = AssignmentProblem(np.zeros((2, 2)), weight, 1.0, *none)
    assert solve(problem).tolist() == [1, 1]


def test_types_that_an_op_lacks_are_never_taken() -> None:
    cost = np.array([[1.0, np.inf], [1.0, 0.5]])
    none = np.empty((0, 2), np.int64), np.empty((0, 2, 2))
    problem = AssignmentProblem(cost, np.array([[1.0, 0.0], [1.0, 0.0]]), 5.0, *none)
    assert solve(problem).tolist() == [0, 1]


# The models


def test_latency_is_predicted_for_what_was_not_tried() -> None:
    landscape = synthetic_landscape("chain", 3)
    space, choices = _space(landscape), _random_choices(landscape, 60, 1)
    history = _history(landscape, choices)
    model = LatencyModel(space, choices, history.latency, history.latency_stderr)
    unseen = _random_choices(landscape, 40, 2)
    draws = model.latencies(model.draws(np.random.default_rng(0), 200), space.types_of(unseen))
    truth = landscape.latency(unseen)
    error = draws.mean(axis=0) / truth - 1
    assert np.sqrt((error**2).mean()) < 0.08
    # Honest spreads: the truth lies within them nearly always, and not always in the middle.
    away = np.abs(draws.mean(axis=0) - truth) / draws.std(axis=0)
    assert (away < 2.5).mean() > 0.8
    assert away.mean() > 0.2


def test_converting_one_way_can_cost_more_than_the_other() -> None:
    domains = {f"p{n:02d}": CategoricalDistribution(["int8", "fp32"]) for n in range(12)}
    space = OpSpace.of(domains, None)
    rng = np.random.default_rng(0)

    def latency(choices: Integers) -> Floats:
        into_fp32 = (choices[:, 1:] > choices[:, :-1]).sum(axis=1)
        found: Floats = 10.0 + choices.sum(axis=1) + 2.0 * into_fp32
        return found

    tried = rng.integers(0, 2, (30, 12))
    model = LatencyModel(space, tried, latency(tried), 0.01 * latency(tried))
    int8_first = np.repeat([0, 1], 6)
    expected = model.expected(space.types_of(np.stack([int8_first, int8_first[::-1]])))
    assert expected[0] - expected[1] == pytest.approx(2.0, abs=0.5)


def test_a_disturbed_timing_counts_little() -> None:
    landscape = synthetic_landscape("chain", 3)
    space, choices = _space(landscape), _random_choices(landscape, 60, 1)
    history = _history(landscape, choices)
    disturbed = history.latency.copy()
    disturbed[[5, 20, 40]] *= 3
    unseen = _random_choices(landscape, 40, 2)

    def error(latency: Any) -> float:
        model = LatencyModel(space, choices, latency, history.latency_stderr)
        draws = model.draws(np.random.default_rng(0), 200)
        mean = model.latencies(draws, space.types_of(unseen)).mean(axis=0)
        return float(np.sqrt(((mean / landscape.latency(unseen) - 1) ** 2).mean()))

    assert error(disturbed) < 2 * error(history.latency) + 0.02


def test_sensitivities_are_never_negative_and_predict_noise() -> None:
    landscape = synthetic_landscape("residual", 2)
    space, choices = _space(landscape), _random_choices(landscape, 80, 1)
    model = NoiseModel(space, choices, _history(landscape, choices).noise)
    tables = model.draws(np.random.default_rng(0), 64)
    assert (tables >= 0).all()
    assert (tables[:, :, 2] == 0).all()  # fp32 is what the model is
    unseen = _random_choices(landscape, 40, 2)
    rows = np.arange(len(space.names))
    predicted = np.log(tables[:, rows, unseen].sum(axis=-1)).mean(axis=0)
    truth = np.log(landscape.output_noise(unseen))
    assert np.median(np.abs(predicted - truth)) < 0.25


@pytest.mark.parametrize("images", [500, 50_000])
def test_the_limit_is_learned_with_its_uncertainty(images: int) -> None:
    landscape = synthetic_landscape("chain", 0, images)
    limit = float(landscape.output_noise(landscape.optimum[None])[0])
    choices = _random_choices(landscape, 150, 1)
    history = _history(landscape, choices)
    model = AccuracyModel(
        history.noise, history.accuracy, landscape.bound, landscape.baseline_accuracy
    )
    assert model.quantile(0.02) < limit < model.quantile(0.98)
    spread = np.log(model.quantile(0.9) / model.quantile(0.1))
    assert spread < (0.7 if images > 10_000 else 3.0)


# Suggestions


def _run(landscape: Landscape, trials: int, **changes: Any) -> list[Integers]:
    space = _space(landscape)
    experiment = _experiment(landscape, **changes)
    choices = [np.zeros_like(landscape.optimum), np.full_like(landscape.optimum, 2)]
    for n in range(trials):
        history = _history(
            landscape, np.array(choices), with_noise=changes.get("with_noise", True)
        )
        choices.append(suggest(space, history, experiment, np.random.default_rng(n)))
    return choices


def _best(landscape: Landscape, choices: list[Integers]) -> float:
    """Latency over the optimum's of the fastest that truly meets the bound."""
    tried = np.array(choices)
    good = landscape.accuracy(tried) >= landscape.bound
    return float(landscape.latency(tried[good]).min()) / landscape.optimal_latency


def test_it_comes_near_the_optimum_and_never_repeats() -> None:
    landscape = synthetic_landscape("chain", 1, 50_000)
    choices = _run(landscape, 40)
    assert len({key(choice) for choice in choices}) == len(choices)
    assert _best(landscape, choices) < 1.12
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, 3, len(landscape.optimum)) for _ in choices]
    assert _best(landscape, choices) < _best(landscape, [choices[1], *drawn]) - 0.1


def test_accuracy_alone_will_do() -> None:
    landscape = synthetic_landscape("chain", 1, 50_000)
    space, experiment = _space(landscape), _experiment(landscape)
    choices = [np.zeros_like(landscape.optimum), np.full_like(landscape.optimum, 2)]
    for n in range(40):
        history = _history(landscape, np.array(choices), with_noise=False)
        choices.append(suggest(space, history, experiment, np.random.default_rng(n)))
    assert _best(landscape, choices) < 0.75 * _best(landscape, choices[:2])


def test_without_a_bound_it_minimizes_latency() -> None:
    landscape = synthetic_landscape("chain", 1)
    space = _space(landscape)
    choices = _random_choices(landscape, 30, 1)
    history = _history(landscape, choices)
    free = TrialArrays(
        **{**vars(history), "accuracy": None, "bound": None, "noise": None},
    )
    experiment = _experiment(landscape, accuracy_threshold=None)
    suggested = suggest(space, free, experiment, np.random.default_rng(0))
    assert landscape.latency(suggested[None])[0] <= landscape.latency(choices).min()


def test_open_trials_count() -> None:
    landscape = synthetic_landscape("chain", 1)
    space, experiment = _space(landscape), _experiment(landscape)
    history = _history(landscape, _random_choices(landscape, 30, 1))
    pending: list[Integers] = []
    for _ in range(6):
        waiting = np.array(pending, np.int64).reshape(-1, len(landscape.optimum))
        with_open = TrialArrays(**{**vars(history), "pending": waiting})
        # The same random numbers each time: only what is open makes the difference.
        pending.append(suggest(space, with_open, experiment, np.random.default_rng(7)))
    assert len({key(choice) for choice in pending}) == 6


def test_what_failed_is_avoided() -> None:
    """Every trial with op 4 in bf16 fails: after three the type is left alone."""
    landscape = synthetic_landscape("chain", 1, 50_000)
    space, experiment = _space(landscape), _experiment(landscape)
    choices = _random_choices(landscape, 30, 1)
    choices[choices[:, 4] == 1, 4] = 2
    history = _history(landscape, choices)
    failed = _random_choices(landscape, 3, 2)
    failed[:, 4] = 1
    with_failures = TrialArrays(**{**vars(history), "failed": failed})
    problem_op = [
        suggest(space, with_failures, experiment, np.random.default_rng(n))[4] for n in range(8)
    ]
    assert problem_op.count(1) <= 1


def test_damage_from_accuracy_keeps_its_sign_where_lower_is_better() -> None:
    landscape = synthetic_landscape("chain", 1, 50_000)
    history = _history(landscape, _random_choices(landscape, 40, 1), with_noise=False)
    mirrored = _experiment(
        landscape,
        accuracy_threshold=-landscape.bound,
        baseline_accuracy=-landscape.baseline_accuracy,
        maximize_accuracy=False,
    )
    space = _space(landscape)
    plain = learn_damage(space, history, _experiment(landscape), np.random.default_rng(0), 4)
    other = learn_damage(space, history, mirrored, np.random.default_rng(0), 4)
    np.testing.assert_allclose(plain.tables, other.tables)
    np.testing.assert_allclose(plain.limits, other.limits)


# As an Optuna sampler


def _study(landscape: Landscape, choices: Integers) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    domains = {n: CategoricalDistribution(v) for n, v in landscape.parameters.items()}
    rng = np.random.default_rng(0)
    for choice in choices:
        look = landscape.look(choice, rng)
        study.add_trial(
            create_trial(
                value=look.latency,
                params=landscape.assignments(choice),
                distributions=domains,
                user_attrs={"reading": vars(look)},
            )
        )
    return study


def _sample(landscape: Landscape, study: optuna.Study, seed: int) -> dict[str, Any]:
    domains = {n: CategoricalDistribution(v) for n, v in sorted(landscape.parameters.items())}
    sampler = make_sampler(
        "quantization",
        seed=seed,
        search_space=domains,
        constraints_func=None,
        experiment=_experiment(landscape),
    )
    trial = create_trial(state=TrialState.RUNNING)
    trial.number = len(study.trials)
    return sampler.sample_relative(study, trial, dict(domains))


def test_same_seed_and_history_same_suggestion_in_another_process() -> None:
    landscape = synthetic_landscape("residual", 1)
    study = _study(landscape, _random_choices(landscape, 25, 1))
    here = [_sample(landscape, study, seed) for seed in (1, 1, 2)]
    assert here[0] == here[1] != here[2]
    code = (
        "from tests.sampling.test_quantization_sampler import *\n"
        "from tests.sampling.test_quantization_sampler import _study, _sample, _random_choices\n"
        "landscape = synthetic_landscape('residual', 1)\n"
        "study = _study(landscape, _random_choices(landscape, 25, 1))\n"
        "print(sorted(_sample(landscape, study, 1).items()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == str(sorted(here[0].items())), done.stderr[-2000:]


def test_other_experiments_get_a_general_sampler() -> None:
    landscape = synthetic_landscape("chain", 0)
    experiment = _experiment(landscape)
    types = {"conv": CategoricalDistribution(TYPES)}
    colours = {"colour": CategoricalDistribution(("red", "blue"))}
    rate = {**types, "rate": FloatDistribution(0, 1)}

    def made(space: Any, told: TuningExperiment | None) -> type:
        sampler = make_sampler(
            "quantization", seed=1, search_space=space, constraints_func=None, experiment=told
        )
        return type(sampler)

    assert made(types, experiment) is QuantizationSampler
    assert made(types, None) is TPESampler
    assert made(colours, experiment) is TPESampler
    assert made(rate, experiment) is TPESampler


def test_sizes_that_are_unknown_and_parameters_that_are_no_ops() -> None:
    domains = {
        "conv": CategoricalDistribution(TYPES),
        "pool": CategoricalDistribution(("int8", "int8-kl", "fp32")),
        "calib_sampling_size": CategoricalDistribution(("50", "100")),
    }
    nothing = {"multiply_adds": None, "output_elements": None, "weight_elements": None}
    graph = {
        "parameters": [
            {"name": "pool", "op_type": "pooling", **nothing},
            {"name": "conv", "op_type": "conv2d", **nothing},
            {"name": "calib_sampling_size", "op_type": None, **dict.fromkeys(nothing, 0.0)},
        ],
        "edges": [["pool", "conv", None]],
    }
    space = OpSpace.of(domains, graph)
    assert space.names == ("pool", "conv", "calib_sampling_size")
    assert space.edges.tolist() == [[0, 1]]
    assert space.is_op.tolist() == [True, True, False]
    np.testing.assert_allclose(space.compute, [0.5, 0.5, 0.0])
    # Both int8 variants are of one type: they take the same time.
    assert space.type_of[0, 0] == space.type_of[0, 1] != space.type_of[0, 2]


def test_without_a_graph_names_are_a_chain_in_their_natural_order() -> None:
    domains = {f"op{n}": CategoricalDistribution(TYPES) for n in (10, 9, 1)}
    space = OpSpace.of(domains, None)
    assert space.names == ("op1", "op9", "op10")
    assert space.edges.tolist() == [[0, 1], [1, 2]]


def test_a_small_space_is_used_up() -> None:
    """All nine configurations come, the last ones too."""
    landscape = synthetic_landscape("chain", 0)
    names = list(landscape.parameters)[:2]
    domains = {name: CategoricalDistribution(TYPES) for name in names}
    space = OpSpace.of(domains, None)
    none = np.empty((0, 2), np.int64)
    choices: list[Integers] = []
    for n in range(9):
        rows = np.array(choices, np.int64).reshape(-1, 2)
        accuracy = 0.9 - 0.02 * (rows == 0).sum(axis=1)
        latency = 1.0 + rows.sum(axis=1)
        noise = 0.1 * (rows == 0).sum(axis=1)
        history = TrialArrays(rows, latency, 0.01 * latency, accuracy, noise, none, none, 0.89)
        experiment = TuningExperiment(read=lambda trial: Reading(1.0), accuracy_threshold=0.89)
        choices.append(suggest(space, history, experiment, np.random.default_rng(n)))
    assert len({key(choice) for choice in choices}) == 9


def test_what_is_remembered_of_trials_changes_nothing() -> None:
    domains = {f"p{i}": CategoricalDistribution(TYPES) for i in range(3)}
    other = {f"p{i}": CategoricalDistribution(TYPES[::-1]) for i in range(3)}
    rng = np.random.default_rng(0)
    trials = [
        create_trial(
            state=TrialState.COMPLETE,
            value=1.0,
            params={name: TYPES[rng.integers(3)] for name in domains},
            distributions=domains,
        )
        for _ in range(20)
    ]
    experiment = TuningExperiment(read=lambda trial: Reading(1.0), accuracy_threshold=None)
    space = OpSpace.of(domains, None)
    first = TrialArrays.of(trials, space, experiment).choices
    assert [[TYPES[v] for v in row] for row in first] == [
        [trial.params[name] for name in space.names] for trial in trials
    ]
    assert (TrialArrays.of(trials, space, experiment).choices == first).all()
    assert (TrialArrays.of(copy.deepcopy(trials), space, experiment).choices == first).all()
    # The same trials where the values are in another order.
    turned = OpSpace.of(other, None)
    assert (TrialArrays.of(trials, turned, experiment).choices == 2 - first).all()


def test_only_what_is_learned_from_is_read_and_all_is_known_as_tried() -> None:
    landscape = synthetic_landscape("chain", 0)
    choices = _random_choices(landscape, LEARNED_FROM + 30, 4)
    study = _study(landscape, choices)
    read: list[int] = []

    def reading(trial: optuna.trial.FrozenTrial) -> Reading:
        read.append(trial.number)
        return Reading(**trial.user_attrs["reading"])

    experiment = _experiment(landscape, read=reading)
    history = TrialArrays.of(study.trials, _space(landscape), experiment)
    assert read == [*range(FIRST), *range(FIRST + 30, LEARNED_FROM + 30)]
    assert (history.choices == choices[read]).all()
    assert history.tried == {key(choice) for choice in choices}
