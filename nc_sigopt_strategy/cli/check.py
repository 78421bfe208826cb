"""``nc-sigopt check``: a batch and an int8 model through everything, before a budget is spent."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nc_sigopt_strategy.cli.job_target import job_of, job_options
from nc_sigopt_strategy.cli.output import Output, output_options, print_json
from nc_sigopt_strategy.cli.shared import (
    FOUND,
    INTERRUPTED,
    WRONG_USE,
    errors_as_one_line,
)
from nc_sigopt_strategy.errors import SigOptStrategyError, TrialError, UsersCodeError

if TYPE_CHECKING:
    from nc_sigopt_strategy.results.outcome import Outcome
    from nc_sigopt_strategy.results.trial_record import TrialRecord

_MINUTES = 10


@click.command(
    epilog="Exit codes: 0 it can be tuned, 2 it cannot, 3 your own code failed, 130 interrupted."
)
@click.argument("target", metavar="MODEL|CONFIG", type=click.Path(path_type=Path))
@job_options
@output_options()
@errors_as_one_line
def check(target: Path, output: Output, **options: Any) -> None:
    """See whether a model can be tuned: FP32, one int8 model, evaluated and timed.

    Takes what nc-sigopt tune takes, and leaves nothing on this machine. Where there is a token,
    the server keeps an experiment of one trial. With --host auto every runtime that is installed
    and reads the model is tried.
    """
    from nc_sigopt_strategy.hosts.find import AUTO
    from nc_sigopt_strategy.jobs.model_job import hosts_of

    if options["host"] != AUTO:
        outcome, trial = _check_one(target, options, output)
        output.found(_figures(outcome, trial), *_found(outcome, trial))
        return
    found: dict[str, Any] = {}
    hosts = hosts_of(target)
    for host in hosts:
        if not output.as_json:
            click.echo(f"{host.name}:")
        try:
            outcome, trial = _check_one(target, {**options, "host": host.name}, output)
        except SigOptStrategyError as error:
            click.echo(f"nc-sigopt: error: {error}", err=True)
            continue
        found[host.name] = _figures(outcome, trial)
        if not output.as_json:
            output.found(None, *_found(outcome, trial))
    if output.as_json:
        print_json(found)
    sys.exit(FOUND if found else WRONG_USE)


def _check_one(
    target: Path, options: dict[str, Any], output: Output
) -> tuple[Outcome, TrialRecord]:
    from nc_sigopt_strategy.jobs.tune import tune
    from nc_sigopt_strategy.results.run_files import read_trials

    with tempfile.TemporaryDirectory(prefix="nc-sigopt-check-") as folder:
        job = job_of(target, {**options, "output": Path(folder)})
        store = {"storage": f"sqlite:///{folder}/check.sqlite3", "finalists": 1}
        job = job.with_kwargs(store).with_budget(timeout=0, max_trials=1)
        end, run_folder = tune(job, output.teller(), progress=False, verbose=output.verbose)
        if end.interrupted:
            sys.exit(INTERRUPTED)
        outcome = end.outcome
        trials = [] if outcome.error else read_trials(run_folder)
    if outcome.crash:
        raise UsersCodeError(outcome.stop_reason, traceback=outcome.crash)
    if outcome.error or not trials or trials[0].failure:
        why = outcome.error or (trials[0].failure if trials else outcome.stop_reason)
        raise TrialError(str(why))
    return outcome, trials[0]


def _figures(outcome: Outcome, trial: TrialRecord) -> dict[str, Any]:
    """What the lines say, for programs; latencies in seconds of a batch."""
    return {
        "model": outcome.model,
        "runtime": outcome.runtime,
        "batch_size": outcome.batch_size,
        "fp32_accuracy": outcome.baseline_accuracy,
        "fp32_latency_seconds": outcome.fp32_latency_seconds,
        "accuracy_target": outcome.accuracy_target,
        "int8_accuracy": trial.accuracy,
        "int8_latency_seconds": trial.latency_seconds,
        "int8_meets_bound": trial.meets_bound,
        "evaluated_inputs": None if trial.paired is None else trial.paired.of,
        "inputs_to_be_sure": _inputs_to_be_sure(outcome, trial),
        "trial_seconds": trial.ended_seconds - trial.started_seconds,
        "timing_noise": outcome.timing_noise,
    }


def _found(outcome: Outcome, trial: TrialRecord) -> Iterator[str]:
    fp32, latency = outcome.fp32_latency_seconds, trial.latency_seconds
    batch = "batch" if outcome.batch_size is None else f"batch of {outcome.batch_size}"
    timed = f", {1e3 * fp32:.3g} ms a {batch}" if fp32 else ""
    yield f"FP32: accuracy {outcome.baseline_accuracy:.4f}{timed}."
    met = "meets" if trial.meets_bound else "misses"
    faster = f", {fp32 / latency:.2f} times as fast as FP32" if fp32 and latency else ""
    yield (
        f"Default int8: accuracy {trial.accuracy:.4f}, which {met} the bound of "
        f"{outcome.accuracy_target:.4f}{faster}."
    )
    seconds = trial.ended_seconds - trial.started_seconds
    trials = max(1, int(60 * _MINUTES / seconds)) if seconds else 0
    yield f"A trial takes {seconds:.1f} s: about {trials} of them in {_MINUTES} minutes."
    yield _of_single_inputs(outcome, trial)
    if outcome.timing_noise is not None:
        yield f"Timings of one model vary by {outcome.timing_noise:.0%} here."


def _of_single_inputs(outcome: Outcome, trial: TrialRecord) -> str:
    """Whether the evaluation speaks of single inputs, and how much its inputs decide."""
    found = trial.paired
    if found is None:
        return (
            "The evaluation gives one number: let it yield a score of each input, and models are "
            "compared with FP32 input by input, and given up early."
        )
    differ = f"default int8 differs from FP32 on {found.higher + found.lower} of {found.inputs}"
    enough = _inputs_to_be_sure(outcome, trial)
    if enough is None:
        return f"The evaluation has {found.of} inputs: {differ}."
    return (
        f"The evaluation has {found.of} inputs: {differ}. To be sure to 95 % that such a model "
        f"keeps the bound on other data takes about {enough:,} even if it loses nothing."
    )


def _inputs_to_be_sure(outcome: Outcome, trial: TrialRecord) -> int | None:
    from nc_sigopt_strategy.measurement.paired import inputs_to_be_sure

    fp32, target = outcome.baseline_accuracy, outcome.accuracy_target
    if trial.paired is None or fp32 is None or target is None:
        return None
    return inputs_to_be_sure(trial.paired, abs(fp32 - target))
