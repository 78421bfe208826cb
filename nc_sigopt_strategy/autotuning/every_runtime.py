"""Tuning on every runtime that reads a model, under one budget.

Each gets a first share; what is left goes to the runtime that leads, whose experiment is
continued, and what that leaves to the next. The last word has a timing of all winners in turn,
FP32 of each runtime among them. All have one accuracy bound: of the runtime that is tuned first.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nc_sigopt_strategy.autotuning.host_run import HostRun
from nc_sigopt_strategy.autotuning.request import Place, Request, Share
from nc_sigopt_strategy.autotuning.runner import Runner
from nc_sigopt_strategy.autotuning.runners import runner_for
from nc_sigopt_strategy.autotuning.side_by_side import (
    SideBySide,
    candidates_of,
    time_in_turn,
)
from nc_sigopt_strategy.errors import SettingsError, named
from nc_sigopt_strategy.hosts.find import KnownHost
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.tuning.users_code import place_in_users_code

logger = logging.getLogger("nc_sigopt_strategy")

# What of the budget all runtimes get together before one of them leads.
FIRST_SHARE = 0.6
# What of the time is kept for the last timing.
_FINAL_SHARE = 0.05
# With less than this left, no runtime is continued.
_LEAST_SECONDS = 1.0

MakeRunner = Callable[[KnownHost, Request], Runner]


@dataclass(frozen=True)
class Everywhere:
    """What tuning on several runtimes came to.

    Attributes:
        runs: Host's name to its run, in the order in which they were tuned.
        timing: Of the winners in turn; ``None`` where none could be timed.
        failures: Host's name to why it came to nothing.
        bound: What the accuracy has to reach, on each of them.
        interrupted: Whether Ctrl-C ended it.
        notes: What a reader should know, in sentences.
    """

    runs: Mapping[str, HostRun]
    timing: SideBySide | None
    failures: Mapping[str, str]
    bound: AccuracyBound | None
    interrupted: bool = False
    notes: Sequence[str] = ()


class EveryRuntime:
    """Tunes a model on several runtimes.

    Args:
        request: What is asked.
        place: Where files are left; each runtime gets a folder there.
        hosts: Which; at least one.
        make_runner: Makes what tunes with a host.

    Raises:
        SettingsError: The settings ask for what only one experiment can have.
    """

    def __init__(
        self,
        request: Request,
        place: Place,
        hosts: Sequence[KnownHost],
        make_runner: MakeRunner = runner_for,
    ) -> None:
        _refuse_workers(request.checked_settings(**place.settings))
        self._request = request
        self._place = place
        self._hosts = hosts
        self._make_runner = make_runner
        self._work = _Work()
        self._started = request.clock()

    def tune(self) -> Everywhere:
        """Tune on all of them and say which is the fastest.

        Raises:
            BaseException: What the first of them failed with, where all failed.
        """
        work = self._work
        for position, host in enumerate(self._hosts):
            if work.interrupted:
                break
            self._begin(host, len(self._hosts) - position)
        if not work.runs:
            raise next(iter(work.errors.values()))
        timing = self._timed()
        # One runtime has had everything already.
        if len(self._hosts) > 1 and not work.interrupted and self._continue_leaders(timing):
            timing = self._timed()
        failures = {name: _in_words(error) for name, error in work.errors.items()}
        return Everywhere(work.runs, timing, failures, work.bound, work.interrupted, self._notes())

    def _begin(self, host: KnownHost, left: int) -> None:
        """The first share of a runtime.

        Args:
            host: Which.
            left: How many runtimes have had nothing yet, this one included.
        """
        work = self._work
        reference = None if work.first is None else work.first.fp32_accuracy
        given = dataclasses.replace(self._request.given, fp32_accuracy=reference)
        logger.info("Tuning on %s.", host.title)
        try:
            runner = self._make_runner(host, dataclasses.replace(self._request, given=given))
            run = runner.run(self._first_share(left), self._place.inside(host.name))
        except Exception as error:  # one runtime that fails must not cost the others
            logger.error("%s came to nothing: %s", host.title, named(error))
            work.errors[host.name] = error
            return
        work.interrupted = work.interrupted or run.interrupted
        if run.error is not None and not run.outcome.trials and not run.interrupted:
            work.errors[host.name] = run.error
            return
        work.runners[host.name], work.runs[host.name] = runner, run
        if work.bound is None and run.fp32_accuracy is not None:
            work.first = run
            work.bound = self._request.given.criterion.bound(run.fp32_accuracy)

    def _first_share(self, left: int) -> Share:
        budget, hosts = self._request.budget, len(self._hosts)
        if hosts == 1:
            return budget
        # A runtime that failed early leaves its share to the others.
        part = FIRST_SHARE / hosts
        failed = hosts - left - len(self._work.runs)
        part += FIRST_SHARE * failed / hosts / left
        return Share(max(1, round(part * budget.max_trials)), part * budget.timeout_seconds)

    def _continue_leaders(self, timing: SideBySide | None) -> bool:
        """Give the rest of the budget to who leads; true if anybody got any."""
        work, continued = self._work, False
        for name in _by_speed(work.runs, timing):
            share = self._rest(work.runs[name])
            if share is None or work.interrupted:
                break
            logger.info("%s leads: it gets the rest of the budget.", name)
            before = work.runs[name]
            try:
                place = self._place.inside(name).continuing(before.outcome.experiment_id)
                run = work.runners[name].run(share, place)
            except Exception as error:  # what was found before stands
                logger.error("%s could not be continued: %s", name, named(error))
                continue
            work.interrupted = run.interrupted
            continued = True
            # A run that ended early may have less to show than before.
            if run.model is not None or before.model is None:
                work.runs[name] = run
        return continued

    def _rest(self, run: HostRun) -> Share | None:
        budget = self._request.budget
        spent = sum(other.outcome.trials for other in self._work.runs.values())
        trials = budget.max_trials - spent
        seconds = 0.0
        if budget.timeout_seconds:
            elapsed = self._request.clock() - self._started
            seconds = budget.timeout_seconds * (1 - _FINAL_SHARE) - elapsed
            if seconds < _LEAST_SECONDS:
                return None
        return Share(run.outcome.trials + trials, seconds) if trials >= 1 else None

    def _timed(self) -> SideBySide | None:
        work, budget = self._work, self._request.budget
        candidates = [
            candidate for run in work.runs.values() for candidate in candidates_of(run, work.bound)
        ]
        if not candidates:
            return None
        clock = self._request.clock
        deadline = self._started + budget.timeout_seconds if budget.timeout_seconds else None
        if work.interrupted:
            deadline = clock()  # somebody waits
        try:
            return time_in_turn(candidates, clock=clock, deadline=deadline)
        except KeyboardInterrupt:
            work.interrupted = True
        except Exception as error:  # what each run found stands without it
            logger.error("The runtimes could not be timed side by side: %s", named(error))
        return None

    def _notes(self) -> list[str]:
        bound, notes = self._work.bound, []
        for name, run in self._work.runs.items():
            if bound is None or run.fp32_accuracy is None:
                continue
            own = bound.scalar(run.fp32_accuracy)
            if own != bound.baseline_scalar and not bound.is_margin:
                notes.append(
                    f"FP32 on {name} has accuracy {own:.4f}, and not {bound.baseline_scalar:.4f}, "
                    "which the bound is taken from."
                )
        return notes


@dataclass
class _Work:
    """What there is so far."""

    runners: dict[str, Runner] = field(default_factory=dict)
    runs: dict[str, HostRun] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)
    first: HostRun | None = None
    bound: AccuracyBound | None = None
    interrupted: bool = False


def _by_speed(runs: Mapping[str, HostRun], timing: SideBySide | None) -> list[str]:
    """Names of runtimes, the one with the fastest model that meets the bound first."""
    if timing is None:
        return list(runs)
    best = dict.fromkeys(runs, 0.0)
    for candidate, speedup in zip(timing.candidates, timing.speedups, strict=True):
        name = candidate.run.host
        if candidate.meets_bound and speedup is not None:
            best[name] = max(best[name], speedup.ratio)
    return sorted(best, key=lambda name: -best[name])


def _refuse_workers(settings: Settings) -> None:
    for key in ("sigopt_experiment_id", "worker"):
        if getattr(settings, key) is not None:
            raise SettingsError(
                f"{key} is {getattr(settings, key)!r}, and host='auto' makes an experiment for "
                "each runtime.",
                "Name one host to continue an experiment or to share it among workers.",
            )


def _in_words(error: BaseException) -> str:
    said = named(error)
    if place_in_users_code(error) is None:
        return said
    return (
        f"{said} (in your own code; nc_sigopt_strategy.predictor(model) gives eval_fn one way to "
        "call the models of every runtime)"
    )


def outcome_with(outcome: Outcome, sentences: Sequence[str]) -> Outcome:
    """An outcome whose verdict begins with other sentences."""
    return dataclasses.replace(outcome, verdict=" ".join([*sentences, outcome.verdict]).strip())
