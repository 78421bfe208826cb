"""What ending early costs, where nothing more is expected of another trial.

    python benchmarks/scripts/patience.py [--seeds N] [--trials N] [--output FILE.jsonl]

Runs the sampler "quantization" on the landscapes of ``nc-sigopt race`` until the budget is spent,
each once as it is and once with a bound that the default int8 model meets, and looks afterwards
where ``patience`` would have ended the run and how much slower the winner was there. A file that
is there is continued. About 10 seconds a run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.racing.measuring import Measuring
from nc_sigopt_benchmarks.research.racing.optuna_sampler import (
    finished_trial,
    search_space,
    tuning_experiment,
)
from nc_sigopt_benchmarks.research.racing.run import play
from nc_sigopt_benchmarks.research.racing.sources import Source, families, shipped
from nc_sigopt_benchmarks.research.racing.winner import judged_on, winner_changes
from nc_sigopt_strategy.sampling.quantization.op_space import OpSpace
from nc_sigopt_strategy.sampling.quantization.suggestion import expected_gain
from nc_sigopt_strategy.sampling.quantization.trial_arrays import TrialArrays
from nc_sigopt_strategy.settings.choices import DEFAULT_PATIENCE
from nc_sigopt_strategy.tuning.patience import WORTH_A_TRIAL
from nc_sigopt_strategy.winners.expectation import MINIMUM_TRIALS

IMAGES = 400
# How far below the default's accuracy a bound lies that the default meets.
ROOM = 0.01
RULES = ((WORTH_A_TRIAL, 5), (WORTH_A_TRIAL, DEFAULT_PATIENCE), (0.01, DEFAULT_PATIENCE))


def observe(landscape: Landscape, seed: int, trials: int) -> dict[str, Any]:
    """One run: what was expected before each trial, and each change of the winner's latency."""
    played = play(landscape, seed, "quantization", trials)
    experiment, values = tuning_experiment(landscape), search_space(landscape)
    space = OpSpace.of_values(landscape.parameters, landscape.op_graph)
    done = [finished_trial(landscape, values, trial) for trial in played.trials]
    gains: list[float | None] = [None] * (len(done) + 1)
    for count in range(max(MINIMUM_TRIALS, played.seeded), len(done) + 1):
        known = TrialArrays.of(done[:count], space, experiment)
        if known.feasible.any():
            gains[count] = expected_gain(space, known, experiment, np.random.default_rng(count))
    winners = [
        (after, float(landscape.latency(trial.choice[None])[0]))
        for after, trial in winner_changes(
            played.trials,
            Measuring(landscape, seed),
            judged_on(landscape),
            landscape.bound_confidence,
        )
    ]
    return {"gains": gains, "winners": winners, "default_met": played.trials[0].meets_bound}


def stopped_after(gains: list[float | None], worth: float, patience: int) -> int:
    """After how many trials the rule ends a run."""
    in_vain = 0
    for count, gain in enumerate(gains):
        in_vain = in_vain + 1 if gain is not None and gain < worth else 0
        if in_vain >= patience:
            return count
    return len(gains) - 1


def lost(run: dict[str, Any], after: int) -> float:
    """How much slower the winner after so many trials is than the last one, as a share."""
    early = [latency for count, latency in run["winners"] if count <= after]
    return early[-1] / run["winners"][-1][1] - 1.0 if early else 0.0


def show(runs: list[dict[str, Any]]) -> None:
    """Print where each rule ends the runs, and what that costs."""
    for easy, which in ((False, "as it is"), (True, "default meets the bound")):
        some = [run for run in runs if run["easy"] is easy]
        for worth, patience in RULES:
            ends = [stopped_after(run["gains"], worth, patience) for run in some]
            costs = [lost(run, end) for run, end in zip(some, ends, strict=True)]
            early = sum(end < len(run["gains"]) - 1 for run, end in zip(some, ends, strict=True))
            print(
                f"{which}: below {worth:.1%} {patience} times: {early} of {len(some)} runs end "
                f"early, after {statistics.median(ends):g} trials (median); latency lost: median "
                f"{statistics.median(costs):.2%}, 90 % {np.quantile(costs, 0.9):.2%}, "
                f"at most {max(costs):.2%}"
            )


def run_all(sources: list[Source], seeds: int, trials: int, output: Path) -> list[dict[str, Any]]:
    """All runs; those that the file has are not run again."""
    runs = []
    if output.is_file():
        runs = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    known = {(run["source"], run["seed"], run["easy"]) for run in runs}
    for seed in range(seeds):
        for source in sources:
            for easy in (False, True):
                if (source.key, seed, easy) in known:
                    continue
                landscape = source.load(seed, IMAGES)
                if easy:
                    met = float(landscape.accuracy(landscape.default[None])[0]) - ROOM
                    landscape = dataclasses.replace(landscape, bound=met)
                with threadpool_limits(1):
                    found = observe(landscape, seed, trials)
                runs.append({"source": source.key, "seed": seed, "easy": easy, **found})
                with output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(runs[-1]) + "\n")
    return runs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What ending early costs.")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("patience.jsonl"))
    given = parser.parse_args()
    show(run_all([*families(()), *shipped()], given.seeds, given.trials, given.output))
