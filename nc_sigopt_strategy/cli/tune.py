"""``nc-sigopt tune``: a model and its data, or whatever names a job; here or on a Ray cluster."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nc_sigopt_strategy.cli.job_target import job_of, job_options
from nc_sigopt_strategy.cli.output import Output, output_options, print_json
from nc_sigopt_strategy.cli.quantities import duration
from nc_sigopt_strategy.cli.shared import (
    CRASHED,
    EXIT_CODES,
    FOUND,
    INTERRUPTED,
    NOTHING_FOUND,
    accept_fp32_option,
    closed_on_signals,
    errors_as_one_line,
    tell_crash,
)
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.hosts.inc.registration import STRATEGY_NAME

if TYPE_CHECKING:
    from nc_sigopt_strategy.jobs.job import TuningJob
    from nc_sigopt_strategy.jobs.run_end import RunEnd

_LOCAL_RAY = "this machine"


@click.command(epilog=EXIT_CODES)
@click.argument("target", metavar="MODEL|CONFIG", type=click.Path(path_type=Path))
@job_options
@click.option(
    "--timeout", callback=duration, metavar="TIME", help="Budget in time: 90s, 10m or 1h30m."
)
@click.option(
    "--max-trials", type=click.IntRange(1), metavar="N", help="Budget in trials.  [default: 100]"
)
@click.option(
    "--output", "folder", type=click.Path(path_type=Path), help="Folder for the run's folder."
)
@accept_fp32_option
@click.option(
    "--watch", is_flag=True, help="Serve the run's page while it goes on, for your browser."
)
@click.option("--join", metavar="ID", help="Work on this experiment, beside its other workers.")
@click.option("--storage", metavar="URL", help="Optuna storage URL that all workers share.")
@click.option("--worker", metavar="NAME", help="This worker's own name, the same after a restart.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="How many will work on the experiment at the same time.",
)
@click.option(
    "--ray",
    is_flag=False,
    flag_value=_LOCAL_RAY,
    metavar="[ADDRESS]",
    help="Start those workers on this Ray cluster; without ADDRESS on this machine.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="With --ray: go on with the run in this run folder.",
)
@output_options()
@closed_on_signals
@errors_as_one_line
def tune(target: Path, output: Output, **options: Any) -> None:
    """Tune one model with one strategy.

    MODEL is an ONNX model, OpenVINO's IR (.xml), a frozen TensorFlow graph (.pb), the folder of a
    SavedModel or a program of torch.export (.pt2); --data names a Python file that calibrates and
    evaluates it. Or MODEL is a Python file that does so and defines the model, too, such as a
    PyTorch module. An ONNX model is tuned for ONNX Runtime, an IR for OpenVINO, a program for
    PyTorch and a TensorFlow model with Neural Compressor, unless --host says otherwise.

    CONFIG is a YAML file (see configs/), which the benchmark harness reads. Of its strategies the
    sigopt one runs, or the only one.

    Leaves a run folder with report.html, outcome.json, trials.jsonl, recipe.json and the best
    model. With --watch that page can be opened at once: it follows the run, at an address on this
    machine that is printed.

    Several workers share an experiment: the first runs with --workers N and says the experiment's
    ID, the others with --join ID. Through a SigOpt server, or a --storage that all of them reach.
    """
    _check_ray_options(options)
    job = job_of(target, {**options, "output": options["folder"]})
    _check_watch(job, options)
    run = _on_ray if options["ray"] is not None else _here
    end, folder = run(job, options, output)
    _show(end, folder, output)
    crash = end.outcome.crash
    if crash and not end.outcome.found:
        tell_crash(crash, end.outcome.stop_reason)
        sys.exit(CRASHED)
    if end.interrupted:
        sys.exit(INTERRUPTED)
    helped = options["accept_fp32"] or end.outcome.faster_than_fp32 is not False
    sys.exit(FOUND if end.outcome.found and helped else NOTHING_FOUND)


def _show(end: RunEnd, folder: Path, output: Output) -> None:
    from nc_sigopt_strategy.console.outcome_table import print_outcome, table_console
    from nc_sigopt_strategy.reports.run_page import PAGE_FILE

    page = folder / PAGE_FILE
    if output.as_json:
        found = {"folder": str(folder), "report": str(page) if page.is_file() else None}
        print_json({**found, "runtimes": end.runtimes, "outcome": end.outcome.to_json()})
        return
    if output.quiet:
        click.echo(f"{end.outcome}\n{folder}")
        return
    print_outcome(end.outcome, table_console())
    for line in end.runtimes:
        click.echo(line)
    if page.is_file():
        click.echo(f"Report: {page}")
    click.echo(f"Everything about this run: {folder}")


def _check_ray_options(options: dict[str, Any]) -> None:
    for option, given, needs_ray in (
        ("--resume", options["resume"], True),
        ("--worker", options["worker"], False),
    ):
        if given is not None and needs_ray != (options["ray"] is not None):
            raise ConfigFileError(
                f"{option} {given} does not go {'without' if needs_ray else 'with'} --ray.",
                "Ray names its workers itself." if not needs_ray else "Add --ray.",
            )


def _check_watch(job: TuningJob, options: dict[str, Any]) -> None:
    if not options["watch"]:
        return
    if options["ray"] is not None:
        raise ConfigFileError(
            "--watch does not go with --ray: each worker has a page of its own, on its machine.",
            "Leave --watch out; Ray's dashboard shows the workers.",
        )
    if job.strategy != STRATEGY_NAME:
        raise ConfigFileError(
            f"--watch is given, and {job.path} runs the strategy {job.strategy}, which has no "
            "page until its end.",
            "Leave --watch out, or list sigopt under strategies.",
        )


def _here(job: TuningJob, options: dict[str, Any], output: Output) -> tuple[RunEnd, Path]:
    from nc_sigopt_strategy.jobs.tune import tune as run

    kwargs = {
        "sigopt_experiment_id": options["join"],
        "storage": options["storage"],
        "worker": options["worker"],
        "parallel_bandwidth": options["workers"],
    }
    given = {key: value for key, value in kwargs.items() if value is not None}
    if options["watch"]:
        given["live_page"] = True
    return run(
        job.with_kwargs(given),
        output.teller(),
        progress=output.progress,
        verbose=output.verbose,
        show_page=_tell_address if options["watch"] else None,
    )


def _tell_address(line: str) -> None:
    """It was asked for, so that --quiet does not keep it back."""
    click.echo(line, err=True)


def _on_ray(job: TuningJob, options: dict[str, Any], output: Output) -> tuple[RunEnd, Path]:
    ray = importlib.import_module("nc_sigopt_strategy.cluster.command")
    chosen = ray.RayOptions(
        workers=options["workers"] or 1,
        address=None if options["ray"] == _LOCAL_RAY else options["ray"],
        output=options["resume"],
        join=options["join"],
        storage=options["storage"],
    )
    end: tuple[RunEnd, Path] = ray.tune_on_ray(job, output.teller(), chosen)
    return end
