"""``nc-sigopt``: tune a model, compare strategies, look at experiments.

Exit codes: 0 a model that meets the bound was found, 1 none was, 2 wrong use, 130 interrupted.
Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from .errors import MissingExtraError, SigOptStrategyError
from .version import __version__

if TYPE_CHECKING:
    from nc_sigopt_benchmarks.config import RunConfig

FOUND, NOTHING_FOUND, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
_Command = TypeVar("_Command", bound=Callable[..., Any])
_EXIT_CODES = (
    "Exit codes: 0 a model that meets the bound was found, 1 none was, 2 wrong use, "
    "130 interrupted."
)


def _errors_as_one_line(command: _Command) -> _Command:
    """Turn our own errors into one line on standard error and exit code 2."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except SigOptStrategyError as error:
            click.echo(f"nc-sigopt: error: {error}", err=True)
            sys.exit(WRONG_USE)
        except KeyboardInterrupt:
            click.echo("nc-sigopt: interrupted", err=True)
            sys.exit(INTERRUPTED)

    return guarded  # type: ignore[return-value]


@click.group(epilog=_EXIT_CODES)
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


@cli.command(epilog=_EXIT_CODES)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Folder for the run's folder.")
@_errors_as_one_line
def tune(config: Path, output: Path | None) -> None:
    """Tune one model with one strategy.

    CONFIG is a YAML file (see configs/). Of its strategies the sigopt one runs, or the only one.
    Leaves a run folder with outcome.json, trials.jsonl, recipe.json and best_model.pb.
    """
    from .reporting.tables import outcome_table, table_console

    run = _benchmarks("tune").tune
    end, folder = run(_read(config, output), _teller())
    table_console().print(outcome_table(end.outcome))
    click.echo(f"Everything about this run: {folder}")
    if end.interrupted:
        sys.exit(INTERRUPTED)
    sys.exit(FOUND if end.outcome.found else NOTHING_FOUND)


@cli.command(epilog=_EXIT_CODES)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Folder for the run's folder.")
@_errors_as_one_line
def compare(config: Path, output: Path | None) -> None:
    """Compare strategies under the same bound and budget.

    Runs each strategy of CONFIG, a YAML file (see configs/), in a process of its own, then times
    the models found side by side and prints one table. Leaves a run folder with report.html, two
    plots, results.json, trials.jsonl, the best model and its recipe.
    """
    from .reporting.tables import comparison_table, table_console

    run = _benchmarks("compare").compare
    comparison, folder = run(_read(config, output), _teller())
    console = table_console()
    console.print(comparison_table(comparison))
    for sentence in (comparison.accuracy_note, *comparison.verdicts):
        console.print(f"- {sentence}")
    report = folder / "report.html"
    click.echo(f"Report: {report}" if report.is_file() else f"Run folder: {folder}")
    if comparison.interrupted:
        click.echo("nc-sigopt: interrupted; the run folder has what there was by then", err=True)
        sys.exit(INTERRUPTED)
    if comparison.wrong_use:
        sys.exit(WRONG_USE)
    sys.exit(FOUND if comparison.found else NOTHING_FOUND)


@cli.group()
def experiments() -> None:
    """Look at experiments that are kept in a local store."""


_STORAGE = click.option(
    "--storage",
    metavar="URL",
    help="Optuna storage URL, for instance sqlite:///runs/demo/sigopt/experiments.sqlite3; "
    "default: the file in your data folder that runs use unless told otherwise.",
)


@experiments.command("list")
@_STORAGE
@_errors_as_one_line
def list_experiments(storage: str | None) -> None:
    """List all experiments: id, name, state, observations, budget."""
    from .reporting.experiments import print_experiments
    from .reporting.tables import table_console

    print_experiments(_connection(storage), table_console())


@experiments.command("show")
@click.argument("experiment_id", metavar="ID")
@_STORAGE
@_errors_as_one_line
def show_experiment(experiment_id: str, storage: str | None) -> None:
    """Show one experiment: its metrics, its best assignments, its observations."""
    from .reporting.experiments import print_experiment
    from .reporting.tables import table_console

    print_experiment(_connection(storage), experiment_id, table_console())


def main() -> NoReturn:
    """The entry point of ``nc-sigopt``."""
    cli()
    sys.exit(FOUND)


def _teller() -> Callable[[str], None]:
    """A function that writes lines to where standard error leads now.

    On a descriptor of its own: while models are timed, descriptor 2 points at a log file.
    """
    from .progress import duplicate_of_stderr

    stream = duplicate_of_stderr()

    def tell(line: str) -> None:
        stream.write(f"{line}\n")
        stream.flush()

    return tell


def _read(path: Path, output: Path | None) -> RunConfig:
    import dataclasses

    config: RunConfig = _benchmarks("config_file").read_config(path)
    return config if output is None else dataclasses.replace(config, output=output)


def _benchmarks(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"nc_sigopt_benchmarks.{module}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"This command needs {error.name}, which is not installed.",
            "Install it with: pip install 'nc_sigopt_strategy[benchmark]'",
        ) from error


def _connection(storage: str | None) -> Any:
    from .reporting.experiments import open_existing

    return open_existing(storage)


if __name__ == "__main__":
    main()
