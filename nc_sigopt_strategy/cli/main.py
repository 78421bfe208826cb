"""``nc-sigopt``: tune a model, compare strategies, look at experiments.

Exit codes: 0 a model that meets the bound was found, 1 none was, 2 wrong use, 130 interrupted.
Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from nc_sigopt_benchmarks.commands.samplers import landscape, race, record
from nc_sigopt_strategy.cli.experiments import experiments
from nc_sigopt_strategy.cli.server import dashboard, serve, token
from nc_sigopt_strategy.cli.shared import (
    EXIT_CODES,
    FOUND,
    INTERRUPTED,
    NOTHING_FOUND,
    WRONG_USE,
    benchmarks,
    errors_as_one_line,
    read_run_config,
    teller,
)
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.version import __version__

if TYPE_CHECKING:
    from nc_sigopt_benchmarks.judging.comparison import Comparison

_LOCAL_RAY = "this machine"


@click.group(epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="nc-sigopt")
def cli() -> None:
    """Find the fastest int8 model that still meets your accuracy bound.

    Runs Intel Neural Compressor's tuning with the "sigopt" strategy: each op of the model becomes
    a parameter, and an optimizer searches for the assignment of int8, bf16 and fp32 that runs
    fastest within the bound. It needs no account, no token and no network.

    \b
    Try it:
      nc-sigopt compare configs/demo.yaml     sigopt beside Neural Compressor's basic
      nc-sigopt tune my_model.yaml            a model of your own
    """


@cli.command(epilog=EXIT_CODES)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Folder for the run's folder.")
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
    "ray_address",
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
@errors_as_one_line
def tune(
    config: Path,
    output: Path | None,
    join: str | None,
    storage: str | None,
    worker: str | None,
    workers: int | None,
    ray_address: str | None,
    resume: Path | None,
) -> None:
    """Tune one model with one strategy.

    CONFIG is a YAML file (see configs/). Of its strategies the sigopt one runs, or the only one.
    Leaves a run folder with outcome.json, trials.jsonl, recipe.json and best_model.pb.

    Several workers share an experiment: the first runs with --workers N and says the experiment's
    ID, the others with --join ID. Through a SigOpt server, or a --storage that all of them reach.
    """
    from nc_sigopt_strategy.console.outcome_table import outcome_table, table_console

    for option, given, needs_ray in (("--resume", resume, True), ("--worker", worker, False)):
        if given is not None and needs_ray != (ray_address is not None):
            raise ConfigFileError(
                f"{option} {given} does not go {'without' if needs_ray else 'with'} --ray.",
                "Ray names its workers itself." if not needs_ray else "Add --ray.",
            )
    read, tell = read_run_config(config, output), teller()
    if ray_address is not None:
        ray = importlib.import_module("nc_sigopt_strategy.cluster.command")
        options = ray.RayOptions(
            workers=workers or 1,
            address=None if ray_address == _LOCAL_RAY else ray_address,
            output=resume,
            join=join,
            storage=storage,
        )
        end, folder = ray.tune_on_ray(read, tell, options)
    else:
        kwargs = {
            "sigopt_experiment_id": join,
            "storage": storage,
            "worker": worker,
            "parallel_bandwidth": workers,
        }
        sigopt_kwargs = {key: value for key, value in kwargs.items() if value is not None}
        end, folder = benchmarks("comparing.tune").tune(read, tell, sigopt_kwargs=sigopt_kwargs)
    table_console().print(outcome_table(end.outcome))
    click.echo(f"Everything about this run: {folder}")
    if end.interrupted:
        sys.exit(INTERRUPTED)
    sys.exit(FOUND if end.outcome.found else NOTHING_FOUND)


@cli.command(epilog=EXIT_CODES)
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--output", type=click.Path(path_type=Path), help="Folder for the run's folder.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Go on with the interrupted comparison of CONFIG in this run folder.",
)
@click.option(
    "--from",
    "folders",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="DIR",
    help="Run nothing: draw this comparison again; given several times, join them.",
)
@click.option("--retime", is_flag=True, help="With --from: time all models found once more.")
@errors_as_one_line
def compare(
    config: Path | None,
    output: Path | None,
    resume: Path | None,
    folders: tuple[Path, ...],
    retime: bool,
) -> None:
    """Compare strategies under the same bound and budget.

    Runs each strategy of CONFIG, a YAML file (see configs/), in a process of its own, then times
    the models found side by side and prints the tables. Leaves a run folder with report.html,
    plots, results.json, trials.jsonl, the best model and its recipe.
    """
    if bool(folders) == (config is not None):
        raise ConfigFileError(
            "compare takes either a CONFIG to run or --from to draw what was run.",
            "For example: nc-sigopt compare configs/demo.yaml, or "
            "nc-sigopt compare --from runs/demo-20261125-064844.",
        )
    for option, given, belongs in (("--resume", resume, config), ("--retime", retime, folders)):
        if given and not belongs:
            other = "a CONFIG" if option == "--resume" else "--from"
            raise ConfigFileError(f"{option} is given without {other}.", f"Add {other}.")
    if config is not None:
        run = benchmarks("comparing.compare").compare
        comparison, folder = run(read_run_config(config, output), teller(), resume=resume)
    else:
        redraw = benchmarks("comparing.joining").redraw
        comparison, folder = redraw(folders, output, teller(), retime=retime)
    _print_comparison(comparison, folder)
    if comparison.interrupted and config is not None:
        again = f"nc-sigopt compare {config} --resume {folder}"
        click.echo(f"nc-sigopt: interrupted; to go on: {again}", err=True)
        sys.exit(INTERRUPTED)
    if comparison.wrong_use:
        sys.exit(WRONG_USE)
    sys.exit(FOUND if comparison.found else NOTHING_FOUND)


def _print_comparison(comparison: Comparison, folder: Path) -> None:
    from nc_sigopt_benchmarks.reporting.tables import comparison_tables
    from nc_sigopt_strategy.console.outcome_table import table_console

    console = table_console()
    for table in comparison_tables(comparison):
        console.print(table)
        console.print()
    for sentence in (comparison.accuracy_note, *comparison.verdicts):
        console.print(f"- {sentence}")
    report = folder / "report.html"
    click.echo(f"Report: {report}" if report.is_file() else f"Run folder: {folder}")


for _command in (record, landscape, race, experiments, serve, token, dashboard):
    cli.add_command(_command)


def main() -> NoReturn:
    """The entry point of ``nc-sigopt``."""
    cli()
    sys.exit(FOUND)


if __name__ == "__main__":
    main()
