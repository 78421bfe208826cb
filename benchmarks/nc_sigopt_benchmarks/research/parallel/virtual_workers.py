"""Workers on a landscape in virtual time: each asks as soon as its trial is done."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.parallel.asking_together import SharedStudy
from nc_sigopt_benchmarks.research.racing.measuring import Measuring
from nc_sigopt_benchmarks.research.racing.optuna_sampler import SamplerBuilder
from nc_sigopt_benchmarks.research.racing.records import trial_record
from nc_sigopt_benchmarks.research.racing.trial import Trial, choice_key
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.sampling.asking import derived_seed
from nc_sigopt_strategy.space.assignments import AssignmentsKey, assignments_key
from nc_sigopt_strategy.space.search_space import Parameter
from nc_sigopt_strategy.tuning.first_suggestions import InitialSuggestions

# A trial of the default int8 model takes three seconds: quantizing and evaluating cost much the
# same for every model, timing costs as its latency is.
FIXED_SECONDS = 2.0
TIMED_SECONDS = 1.0
# Relative standard deviation of a trial's duration, for what else a machine does.
_DURATION_SPREAD = 0.1


@dataclass
class Together:
    """The trials of one run of several workers.

    Attributes:
        trials: In the order in which they were begun, which is that of their numbers.
        taken_back: Suggestions that were made before, or that another worker had open.
        begun: Virtual seconds at which each began.
        ended: And at which each ended.
    """

    trials: list[Trial] = field(default_factory=list)
    taken_back: int = 0
    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def seconds(self, trials: int) -> float:
        """Virtual seconds that a run with this budget would have taken."""
        return max(self.ended[:trials])


def work_together(
    landscape: Landscape,
    seed: int,
    build: SamplerBuilder,
    *,
    workers: int,
    trials: int,
    blind: bool = False,
) -> Together:
    """Let workers use up a budget.

    As in the strategy, the first trial is measured by one worker while the others wait, because
    it is the reference of all latencies; and the first suggestions are shared out.

    Args:
        landscape: What they search.
        seed: Of the sampler, the measurements and the durations.
        build: Builds the sampler.
        workers: How many.
        trials: The budget of all of them together.
        blind: See ``SharedStudy``.

    Returns:
        The trials; a run of fewer is the beginning of a run of more, since no suggestion depends
        on the budget.
    """
    measuring = Measuring(landscape, seed)
    duration = _Duration(landscape, seed)
    study = SharedStudy(landscape, seed, build, blind=blind)
    seeds = _Seeds(landscape)
    run = Together()
    busy: list[tuple[float, int]] = []
    free: list[float] = [0.0]
    while free or busy:
        while free and len(run.trials) < trials:
            choice = seeds.next()
            if choice is None:
                choice = study.suggest()
            if choice is None:
                break
            now = free.pop()
            number = study.open(choice)
            seeds.begin(choice)
            run.trials.append(measuring.trial(number + 1, choice))
            run.begun.append(now)
            run.ended.append(now + duration.of(choice))
            heapq.heappush(busy, (run.ended[-1], number))
        if not busy:
            break
        now, number = heapq.heappop(busy)
        study.observe(number, run.trials[number])
        seeds.end(run.trials[number])
        # With the first trial the reference is there, and everybody else begins.
        free = [now] * (workers if number == 0 else 1)
    run.taken_back = study.taken_back
    return run


class _Seeds:
    """The strategy's first suggestions; what is being measured counts as tried."""

    def __init__(self, landscape: Landscape) -> None:
        parameters = [
            Parameter(name, ((name, ""),), values) for name, values in landscape.parameters.items()
        ]
        self._landscape = landscape
        self._suggestions = InitialSuggestions(
            parameters, landscape.assignments(landscape.default)
        )
        self._known: dict[AssignmentsKey, TrialRecord] = {}

    def next(self) -> Choices | None:
        suggestion = self._suggestions.next(self._known)
        return None if suggestion is None else self._landscape.positions(suggestion[1])

    def begin(self, choice: Choices) -> None:
        assignments = self._landscape.assignments(choice)
        self._known[assignments_key(assignments)] = TrialRecord(0, TrialState.OBSERVED)

    def end(self, trial: Trial) -> None:
        assignments = self._landscape.assignments(trial.choice)
        self._known[assignments_key(assignments)] = trial_record(trial, assignments)


class _Duration:
    """How long a trial takes; depends on landscape, seed and configuration only."""

    def __init__(self, landscape: Landscape, seed: int) -> None:
        self._landscape, self._seed = landscape, seed
        self._default = float(landscape.latency(landscape.default[None])[0])

    def of(self, choice: Choices) -> float:
        """Virtual seconds of a trial of a configuration, of shape (parameters,)."""
        ratio = float(self._landscape.latency(choice[None])[0]) / self._default
        key = choice_key(choice).hex()
        seed = derived_seed(self._landscape.name, self._seed, "duration", key)
        noise = np.random.default_rng(seed).normal(0.0, _DURATION_SPREAD)
        return float((FIXED_SECONDS + TIMED_SECONDS * ratio) * np.exp(noise))
