"""Who wins a race and how it is summed up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Look
from nc_sigopt_benchmarks.research.landscapes.synthetic import synthetic_landscape
from nc_sigopt_benchmarks.research.racing.cells import race_tables
from nc_sigopt_benchmarks.research.racing.drawing import markdown
from nc_sigopt_benchmarks.research.racing.measuring import FINAL_ERROR_SCALE, Measuring
from nc_sigopt_benchmarks.research.racing.result import RunResult, Winner
from nc_sigopt_benchmarks.research.racing.run import play, run_one
from nc_sigopt_benchmarks.research.racing.summary import ALL, marks_within, quantile, summarize
from nc_sigopt_benchmarks.research.racing.trial import Trial
from nc_sigopt_benchmarks.research.racing.winner import judged_on, winner_changes
from nc_sigopt_strategy.winners.bound_odds import BoundOdds
from tests.benchmarks.race_landscapes import small_landscape


class FinalLatencies(Measuring):
    """Finalists' latencies as given, by the first value position."""

    def __init__(self, latencies: Mapping[int, float]) -> None:
        self.latencies, self.asked = latencies, list[int]()

    def final_latency(self, choice: Choices) -> float:
        self.asked.append(int(choice[0]))
        return self.latencies[int(choice[0])]


def trials(*latencies: float, infeasible: tuple[int, ...] = ()) -> list[Trial]:
    return [
        Trial(number, np.array([number]), Look(latency, 0.01, 0.9, 0.1), number not in infeasible)
        for number, latency in enumerate(latencies, 1)
    ]


def nobody_knows(trials: Sequence[Trial]) -> dict[int, BoundOdds]:
    return {}


def run(competitor: str, winners: tuple[Winner, ...], **changes: object) -> RunResult:
    values: dict[str, object] = {
        "landscape": "chain-0",
        "family": "chain",
        "assumptions_hold": True,
        "recorded": False,
        "images": 5000,
        "seed": 0,
        "competitor": competitor,
        "budget": 20,
        "trials": 20,
        "seeded": 4,
        "winners": winners,
        "suggest_seconds": (0.1, 0.3),
    }
    return RunResult(**{**values, **changes})  # type: ignore[arg-type]


def test_the_fastest_among_finalists_wins() -> None:
    """The third is fastest in the trials, the first among the finalists."""
    final = FinalLatencies({1: 1.0, 2: 1.5, 3: 1.2})

    changes = list(winner_changes(trials(1.3, 1.2, 1.1), final, nobody_knows))

    assert [(after, trial.number) for after, trial in changes] == [(1, 1)]


def test_whoever_is_no_finalist_cannot_win() -> None:
    """The fifth would be fastest, but three were faster in the trials."""
    final = FinalLatencies({1: 9.0, 2: 3.0, 3: 2.0, 4: 4.0, 5: 1.0})

    changes = list(winner_changes(trials(1.3, 1.0, 1.1, 1.2, 1.25), final, nobody_knows))

    assert [(after, trial.number) for after, trial in changes] == [(1, 1), (2, 2), (3, 3)]
    assert 5 not in final.asked
    assert len(final.asked) == len(set(final.asked)), "each finalist is timed once"


def test_a_faster_trial_can_push_the_winner_out() -> None:
    final = FinalLatencies({1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0})

    changes = list(winner_changes(trials(1.4, 1.3, 1.2, 1.1), final, nobody_knows))

    assert [(after, trial.number) for after, trial in changes] == [(1, 1), (4, 2)]


def test_what_misses_the_bound_never_wins() -> None:
    final = FinalLatencies({2: 2.0})

    changes = list(winner_changes(trials(1.0, 3.0, infeasible=(1,)), final, nobody_knows))

    assert [(after, trial.number) for after, trial in changes] == [(2, 2)]
    assert not list(winner_changes(trials(1.0, infeasible=(1,)), final, nobody_knows))


def test_who_met_the_bound_by_luck_does_not_win() -> None:
    """The fastest met the bound, but the trials say that it probably does not elsewhere."""
    final = FinalLatencies({1: 1.0, 2: 2.0})

    def judged(seen: Sequence[Trial]) -> dict[int, BoundOdds]:
        return {
            trial.number: BoundOdds(0.3 if trial.number == 1 else 0.8, 0.0, 0.1) for trial in seen
        }

    changes = list(winner_changes(trials(1.0, 2.0), final, judged))

    assert [(after, trial.number) for after, trial in changes] == [(1, 1), (2, 2)]
    assert not list(winner_changes(trials(1.0, 2.0), final, judged, 0.9)), "nobody is so sure"


def test_the_race_judges_by_the_noise_of_all_trials() -> None:
    landscape = synthetic_landscape("chain", 0)
    played = play(landscape, 0, "quantization", 30).trials
    judged = judged_on(landscape)(played)
    assert set(judged) == {trial.number for trial in played if trial.meets_bound}
    assert all(0 <= one.probability <= 1 for one in judged.values())
    assert judged_on(landscape)([t for t in played if not t.meets_bound]) == {}


def test_a_run_finds_the_optimum_of_a_small_landscape() -> None:
    result = run_one(small_landscape(), 0, "random", 27)

    assert result.trials == 27
    assert result.winners[-1].ratio == 1.0
    assert not result.winners[-1].wrong
    assert result.recorded, "its family is none of the synthetic ones"


def test_without_a_feasible_trial_there_is_no_winner() -> None:
    result = run_one(small_landscape(bound=0.95), 0, "random", 10)

    assert result.winners == ()
    assert result.winner(10) is None
    standing = summarize([result], (10,)).of("recorded", ALL, 10)[0]
    assert standing.no_winner == 1
    assert math.isinf(standing.median)
    assert standing.to_json()["median"] is None


def test_everybody_sees_the_same_measurements() -> None:
    landscape = small_landscape(error=0.1)
    seen: dict[bytes, set[float]] = {}
    for competitor in ("random", "tpe", "basic-fallback"):
        for trial in play(landscape, 3, competitor, 27).trials:
            seen.setdefault(trial.key, set()).add(trial.look.latency)

    assert all(len(latencies) == 1 for latencies in seen.values())
    other = play(landscape, 4, "random", 1).trials[0]
    assert other.look.latency not in seen[other.key], "another seed, another error"


def test_finalists_are_timed_more_closely_than_trials() -> None:
    landscape = small_landscape(error=0.1)
    choice = landscape.default
    errors = [math.log(Measuring(landscape, s).final_latency(choice) / 3) for s in range(400)]

    assert np.std(errors) == pytest.approx(0.1 * FINAL_ERROR_SCALE, rel=0.15)


def test_the_first_configurations_are_the_strategys() -> None:
    landscape = synthetic_landscape("chain", 0)

    first = [play(landscape, 0, name, 6).trials[:4] for name in ("random", "basic-fallback")]

    assert [t.key for t in first[0]] == [t.key for t in first[1]]
    assert (first[0][0].choice == landscape.default).all()


def test_a_result_survives_json() -> None:
    result = run("tpe", (Winner(4, 1.2, 0.9, -1.0), Winner(9, 1.1, 0.89, 0.5)))

    assert RunResult.from_json(result.to_json()) == result
    winners = [result.winner(k) for k in (3, 4, 8, 20)]
    assert [w.ratio if w else None for w in winners] == [None, 1.2, 1.2, 1.1]


def test_quantiles_may_be_infinite() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0, 2.0], 0.25) == 1.25
    assert quantile([1.0, 2.0, math.inf], 0.5) == 2.0
    assert math.isinf(quantile([1.0, math.inf], 0.5))
    assert quantile([1.0, 2.0, 3.0, math.inf, math.inf], 0.5) == 3.0


def test_wrong_verdicts_do_not_make_the_best() -> None:
    """The hasty one is faster than the optimum, but its winners miss the bound."""
    runs = [
        run("hasty", (Winner(5, 0.8, 0.80, 9.0),)),
        run("careful", (Winner(5, 1.1, 0.90, -1.0),)),
    ]

    summary = summarize(runs, marks_within(20))
    hasty, careful = summary.of("assumptions hold", "chain", 20)

    assert (hasty.median, hasty.wrong, hasty.below) == (0.8, 1, 1)
    assert (careful.wrong, careful.below) == (0, 0)
    assert math.isinf(hasty.median_if_right)
    assert careful.median_if_right == 1.1
    text = markdown(race_tables(summary, 20), {"gp": "torch is not installed"})
    assert "**1.100**" in text
    assert "**0.800" not in text
    assert "gp did not race: torch is not installed." in text


def test_groups_and_paces() -> None:
    winner = (Winner(5, 1.1, 0.9, -1.0),)
    runs = [
        run("tpe", winner),
        run("tpe", winner, family="interactions", assumptions_hold=False),
        run("tpe", winner, landscape="mobilenet", recorded=True),
        run("tpe", (), family="lost", recorded=True, trials=0, error="no such file"),
    ]

    summary = summarize(runs, (20,))

    groups = ("assumptions hold", "assumptions broken", "recorded")
    assert [summary.families(group) for group in groups] == [
        ["chain"],
        ["interactions"],
        ["mobilenet"],
    ]
    pace = summary.pace("recorded", "tpe")
    assert pace is not None
    assert pace.median == pytest.approx(0.2)
    assert [broken.error for broken in summary.broken_off] == ["no such file"]


def test_marks() -> None:
    assert marks_within(100) == (10, 20, 40, 60, 100)
    assert marks_within(50) == (10, 20, 40, 50)
    assert marks_within(5) == (5,)
