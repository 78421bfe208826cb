"""Probing: single ops are looked at before the sampler is asked for the first time.

An op alone in int8, the rest as precise as it can be, is quantized and run on a few inputs, and
never evaluated; a few whole models are timed (``latency_probes``). On a large evaluation set that
costs a small part of the trials that it saves (docs/design/run.md). It comes after the first
trial: only that tells what a trial costs here, and whether there is anything to search for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from nc_sigopt_strategy.console.progress import TuningProgress, format_seconds
from nc_sigopt_strategy.errors import named
from nc_sigopt_strategy.experiments.record import is_probed
from nc_sigopt_strategy.measurement.margins import noise_for_loss
from nc_sigopt_strategy.results.trial_history import TrialHistory
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.sampling.probes import Probe, Probing
from nc_sigopt_strategy.settings.choices import AUTO, DEFAULT_SAMPLER, LOCAL, OFF
from nc_sigopt_strategy.space.ops import PRECISIONS, type_of
from nc_sigopt_strategy.space.search_space import SearchSpace
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch
from nc_sigopt_strategy.tuning.latency_probes import BF16, LatencyProbes
from nc_sigopt_strategy.tuning.probe_plan import ProbePlan
from nc_sigopt_strategy.tuning.start import Start

logger = logging.getLogger("nc_sigopt_strategy")

T = TypeVar("T")

# So many trials at least are saved, by the races of docs/measurements/sampler.md.
SAVED_TRIALS = 6.0
# Of what is left of the budget, in time and in trials, probing takes this share at most.
_SHARE = 0.2
# A smaller space is searched as fast without, and fewer probes tell too little.
LEAST_PARAMETERS, LEAST_PROBES = 8, 6
# Where evaluating and timing take less than this, a trial is quantizing, and so is a probe.
_CHEAP_SECONDS = 0.5
# Between two writes of what was found: what a process that is killed loses at most.
_WRITE_SECONDS = 2.0
_FAILURES_IN_A_ROW = 3
# With so many trials there is little that probes could add.
_LATEST_TRIAL = 20


@dataclass(frozen=True)
class ProbingTools:
    """What probing is done with.

    Attributes:
        start: Host, meter and experiment.
        history: All trials.
        budget: Its clock, and what is left of time and trials.
        progress: Says what is probed.
        interrupts: Tells a Ctrl-C that somebody caught.
    """

    start: Start
    history: TrialHistory
    budget: Budget
    progress: TuningProgress
    interrupts: InterruptWatch


class Prober:
    """Probes once, when the first trial has been observed.

    Args:
        tools: What it works with.

    Attributes:
        seconds: How long this process has probed.
    """

    def __init__(self, tools: ProbingTools) -> None:
        self._tools = tools
        preparation = tools.start.preparation
        self._space = preparation.space
        self._settings = preparation.settings
        self._exact = most_precise(self._space)
        self._is_over = not self._is_possible()
        self._found: tuple[Probe, ...] = ()
        self._is_known = False
        self._written = 0.0
        self.seconds = 0.0

    def found(self) -> tuple[Probe, ...]:
        """What probes have found of the experiment, whoever made them."""
        if not self._is_known and len(self._tools.history.records) <= _LATEST_TRIAL:
            record = self._tools.start.experiment.read_record()
            self._found = () if record.probing is None else record.probing.found
            self._is_known = is_probed(record)
        return self._found

    def has_told_enough(self) -> bool:
        """Whether the first suggestions but the default have nothing more to tell."""
        found = self.found()
        noisy = sum(_is_of_a_group(probe) for probe in found)
        timed = sum(probe.latency is not None for probe in found)
        has_bf16 = any(BF16 in p.values for p in self._space.parameters if p.ops)
        return noisy >= LEAST_PROBES and timed >= (2 if has_bf16 else 1)

    def probe_if_worth(self) -> None:
        """Probe, if that has not been done and saves more than it costs.

        Raises:
            KeyboardInterrupt: Ctrl-C; what was found by then is kept.
        """
        default = self._tools.history.default
        if self._is_over or default is None:
            return
        self._is_over = True
        if not self._is_mine(default) or len(self._tools.history.records) > _LATEST_TRIAL:
            return
        probing = self._tools.start.experiment.read_record().probing
        allowed = self._allowed_seconds(default)
        if (probing is not None and probing.done) or allowed is None:
            return
        begun = self._tools.budget.elapsed_seconds
        found = list(probing.found if probing is not None else ())
        try:
            done = self._probe(found, begun + allowed, default)
        except BaseException:
            self._keep(found, done=False)
            raise
        self._keep(found, done=done)
        self.seconds = self._tools.budget.elapsed_seconds - begun
        logger.info(
            "Probed %d models in %s, which no evaluation was needed for.",
            len(found),
            format_seconds(self.seconds),
        )

    def _is_possible(self) -> bool:
        """Whether the sampler would use what is found, and there is enough to be found."""
        ops = [p for p in self._space.parameters if p.ops]
        labels = self._space.decode(self._exact).labels.values()
        return (
            self._settings.probing != OFF
            and self._settings.sampler == DEFAULT_SAMPLER
            and self._settings.suggestions == LOCAL
            and self._tools.start.meter.measures_noise
            and len(ops) >= LEAST_PARAMETERS
            # An op that is locked in int8 would be in every probe.
            and all(type_of(label) in PRECISIONS for label in labels)
        )

    def _is_mine(self, default: TrialRecord) -> bool:
        """One worker probes: the one that the default was tried by."""
        mine = self._tools.start.preparation.workplace.worker.name
        shared = self._tools.start.experiment.is_shared
        return not shared or default.worker in (None, mine)

    def _allowed_seconds(self, default: TrialRecord) -> float | None:
        """How long probing may take; ``None`` where it is not worth it."""
        if default.state is not TrialState.OBSERVED:
            return None
        budget, settings = self._tools.budget, self._settings
        left = [] if budget.deadline is None else [_SHARE * (budget.deadline - budget.clock())]
        if settings.probing != AUTO:
            return min([float(settings.probing), *left])
        if default.meets_bound:
            return None
        trial = default.ended_seconds - default.started_seconds
        working = trial - default.phase_seconds.get("quantize", 0.0)
        if working < _CHEAP_SECONDS:
            return None
        trials_left = budget.max_trials - len(self._tools.history.records)
        saved = min(SAVED_TRIALS, _SHARE * trials_left) * trial
        return min([saved, *left])

    def _probe(self, found: list[Probe], until: float, default: TrialRecord) -> bool:
        """Make the probes that are missing from what was found; whether no more are to come."""
        budget = self._tools.budget
        members = [
            p.name
            for p in self._space.parameters
            if p.ops and self._space.default[p.name] != self._exact[p.name]
        ]
        known = {tuple(one.values): one.noise or 0.0 for one in found if _is_of_a_group(one)}
        plan = ProbePlan(members, known)
        made, failed, began = 0, 0, budget.elapsed_seconds
        while budget.elapsed_seconds < until and failed < _FAILURES_IN_A_ROW:
            cost = (budget.elapsed_seconds - began) / made if made else 0.0
            affordable = int((until - began) / cost) if cost else len(members)
            if made == 1 and self._settings.probing == AUTO and affordable < LEAST_PROBES:
                logger.info("Probing was left: a probe takes %s here.", format_seconds(cost))
                return True
            group = plan.next(affordable)
            if group is None:
                break
            self._tools.progress.doing(f"probing {made + 1} of about {plan.size(affordable)}")
            values = {name: self._space.default[name] for name in group}
            noise = self._attempt(functools.partial(self._noise, values))
            made += 1
            failed = failed + 1 if noise is None else 0
            plan.tell(group, noise)
            if noise is not None:
                found.append(Probe(values, noise=noise))
                self._keep_now_and_then(found)
        latencies = LatencyProbes(self._tools.start, self._exact, default.latency_seconds)
        for doing, make in latencies.missing(found):
            self._tools.progress.doing(doing)
            found += self._attempt(make) or ()
        return True

    def _noise(self, values: Mapping[str, str]) -> float | None:
        host, meter = self._tools.start.preparation.host, self._tools.start.meter
        model = host.quantize(self._space.decode({**self._exact, **values}))
        try:
            return meter.noise_on_few(model)
        finally:
            host.backend.release(model)

    def _attempt(self, make: Callable[[], T]) -> T | None:
        """What was made; ``None`` where the host or its framework cannot make it."""
        self._tools.interrupts.check()
        try:
            return make()
        except Exception as error:
            # What looks like a failure may be a Ctrl-C that somebody caught and stumbled over.
            self._tools.interrupts.check()
            host = self._tools.start.preparation.host
            logger.debug("A probe failed: %s (%s)", host.reason(error), named(error))
            return None

    def _keep_now_and_then(self, found: list[Probe]) -> None:
        if self._tools.budget.elapsed_seconds - self._written >= _WRITE_SECONDS:
            self._keep(found, done=False)

    @functools.cached_property
    def _expected_noise_limit(self) -> float | None:
        """By the margins of FP32's outputs; ``None`` where those do not tell."""
        bound = self._tools.start.baseline.bound
        if len(bound.baseline) > 1 or not bound.maximize:
            return None
        fp32, outputs = bound.baseline_scalar, self._tools.start.meter.fp32_outputs
        return noise_for_loss(outputs, fp32, fp32 - bound.target)

    def _keep(self, found: list[Probe], *, done: bool) -> None:
        """Write what was found into the experiment's record."""
        with contextlib.nullcontext() if not done else self._tools.interrupts.held():
            experiment = self._tools.start.experiment
            record = experiment.read_record()
            if is_probed(record):
                return
            probing = Probing(tuple(found), done, self._expected_noise_limit)
            experiment.write_record(dataclasses.replace(record, probing=probing))
        self._written = self._tools.budget.elapsed_seconds


def _is_of_a_group(probe: Probe) -> bool:
    """Whether it tells the noise of ops by themselves, and is no whole model that was timed."""
    return probe.noise is not None and probe.latency is None


def most_precise(space: SearchSpace) -> dict[str, str]:
    """Assignments in which every op takes its most precise value, and the rest its default."""
    return {p.name: p.values[-1] if p.ops else space.default[p.name] for p in space.parameters}
