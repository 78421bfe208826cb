"""What each op of the winner saves and costs, on landscapes whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.landscapes.synthetic import synthetic_landscape
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.results.outcome import OpContribution
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.space.search_space import Parameter
from nc_sigopt_strategy.winners.contributions import MINIMUM_TRIALS, op_contributions


def _records(landscape: Landscape, count: int) -> list[TrialRecord]:
    rng = np.random.default_rng(1)
    records = []
    for number in range(1, count + 1):
        choice = rng.choice(3, len(landscape.parameters), p=rng.dirichlet([0.5] * 3))
        choice = landscape.optimum if number == count else choice
        look = landscape.look(choice, rng)
        records.append(
            TrialRecord(
                number=number,
                state=TrialState.OBSERVED,
                assignments=landscape.assignments(choice),
                accuracy=look.accuracy,
                latency_seconds=look.latency,
                latency_stddev=look.latency_stderr,
                output_noise=look.output_noise,
            )
        )
    return records


def _parameters(landscape: Landscape) -> list[Parameter]:
    return [
        Parameter(name, ((f"op/{name}", "conv2d"),), tuple(values))
        for name, values in landscape.parameters.items()
    ]


def _bound(landscape: Landscape) -> AccuracyBound:
    loss = landscape.baseline_accuracy - landscape.bound
    return AccuracyBound.of(
        landscape.baseline_accuracy, relative=False, tolerable_loss=loss, higher_is_better=True
    )


def _contributions(landscape: Landscape, count: int) -> tuple[OpContribution, ...]:
    records = _records(landscape, count)
    return op_contributions(
        records,
        _parameters(landscape),
        landscape.op_graph,
        records[-1],
        _bound(landscape),
    )


@pytest.mark.parametrize("seed", range(3))
def test_savings_and_noise_are_the_truth_within_their_errors(seed: int) -> None:
    landscape = synthetic_landscape("chain", seed)
    found = _contributions(landscape, 60)
    assert [one.op for one in found] == [f"op/{name}" for name in landscape.parameters]
    optimum = landscape.optimum
    without = np.repeat(optimum[None], len(optimum), axis=0)
    np.fill_diagonal(without, 2)
    saved = 1e3 * (landscape.latency(without) - landscape.latency(optimum[None]))
    noise = landscape.output_noise(optimum[None]) - landscape.output_noise(without)
    changed = optimum != 2
    estimate = np.array([one.milliseconds_saved for one in found], float)[changed]
    stderr = np.array([one.milliseconds_stderr for one in found], float)[changed]
    assert np.mean(np.abs(estimate - saved[changed]) <= 3 * stderr) > 0.85
    assert np.corrcoef(estimate, saved[changed])[0, 1] > 0.7
    assert np.corrcoef([one.noise for one in found], noise)[0, 1] > 0.7
    assert all((one.accuracy_cost or 0) >= 0 for one in found)
    precise = [one for one, is_changed in zip(found, changed, strict=True) if not is_changed]
    assert all(one.value == "fp32" and one.milliseconds_saved == 0 for one in precise)


def test_the_costs_add_up_to_about_what_the_winner_loses() -> None:
    landscape = synthetic_landscape("chain", 1)
    found = _contributions(landscape, 80)
    lost = landscape.baseline_accuracy - float(landscape.accuracy(landscape.optimum[None])[0])
    assert 0.3 * lost < sum(one.accuracy_cost or 0 for one in found) < 2.5 * lost


def test_the_same_trials_give_the_same_figures() -> None:
    landscape = synthetic_landscape("chain", 0)
    assert _contributions(landscape, 30) == _contributions(landscape, 30)


def test_few_trials_tell_nothing() -> None:
    landscape = synthetic_landscape("chain", 0)
    assert _contributions(landscape, MINIMUM_TRIALS - 1) == ()


def test_without_noise_the_costs_are_unknown() -> None:
    landscape = synthetic_landscape("chain", 0)
    records = [
        TrialRecord.from_json({**record.to_json(), "output_noise": None})
        for record in _records(landscape, 30)
    ]
    bound = _bound(landscape)
    found = op_contributions(records, _parameters(landscape), None, records[-1], bound)
    changed = [one for one in found if one.value != "fp32"]
    assert changed
    assert all(one.accuracy_cost is None and one.noise is None for one in changed)
    assert all(one.milliseconds_saved is not None for one in changed)
