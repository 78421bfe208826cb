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

from .cli_server import add_commands
from .errors import ConfigFileError, MissingExtraError, SigOptStrategyError
from .version import __version__

if TYPE_CHECKING:
    from nc_sigopt_benchmarks.config import RunConfig

    from .reporting.comparison import Comparison

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
@click.option("--join", metavar="ID", help="Work on this experiment, beside its other workers.")
@click.option("--storage", metavar="URL", help="Optuna storage URL that all workers share.")
@click.option("--worker", metavar="NAME", help="This worker's own name, the same after a restart.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="How many will work on the experiment at the same time.",
)
@_errors_as_one_line
def tune(
    config: Path,
    output: Path | None,
    join: str | None,
    storage: str | None,
    worker: str | None,
    workers: int | None,
) -> None:
    """Tune one model with one strategy.

    CONFIG is a YAML file (see configs/). Of its strategies the sigopt one runs, or the only one.
    Leaves a run folder with outcome.json, trials.jsonl, recipe.json and best_model.pb.

    Several workers share an experiment: the first runs with --workers N and says the experiment's
    ID, the others with --join ID. Through a SigOpt server, or a --storage that all of them reach.
    """
    from .reporting.tables import outcome_table, table_console

    run = _benchmarks("tune").tune
    given = {
        "sigopt_experiment_id": join,
        "storage": storage,
        "worker": worker,
        "parallel_bandwidth": workers,
    }
    sigopt_kwargs = {key: value for key, value in given.items() if value is not None}
    end, folder = run(_read(config, output), _teller(), sigopt_kwargs=sigopt_kwargs)
    table_console().print(outcome_table(end.outcome))
    click.echo(f"Everything about this run: {folder}")
    if end.interrupted:
        sys.exit(INTERRUPTED)
    sys.exit(FOUND if end.outcome.found else NOTHING_FOUND)


@cli.command(epilog=_EXIT_CODES)
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
@_errors_as_one_line
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
        run = _benchmarks("compare").compare
        comparison, folder = run(_read(config, output), _teller(), resume=resume)
    else:
        redraw = _benchmarks("joining").redraw
        comparison, folder = redraw(folders, output, _teller(), retime=retime)
    _print_comparison(comparison, folder)
    if comparison.interrupted and config is not None:
        again = f"nc-sigopt compare {config} --resume {folder}"
        click.echo(f"nc-sigopt: interrupted; to go on: {again}", err=True)
        sys.exit(INTERRUPTED)
    if comparison.wrong_use:
        sys.exit(WRONG_USE)
    sys.exit(FOUND if comparison.found else NOTHING_FOUND)


def _print_comparison(comparison: Comparison, folder: Path) -> None:
    from .reporting.tables import comparison_tables, table_console

    console = table_console()
    for table in comparison_tables(comparison):
        console.print(table)
        console.print()
    for sentence in (comparison.accuracy_note, *comparison.verdicts):
        console.print(f"- {sentence}")
    report = folder / "report.html"
    click.echo(f"Report: {report}" if report.is_file() else f"Run folder: {folder}")


_COUNT = click.IntRange(0)


@cli.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("landscape.jsonl"),
    show_default=True,
    help="The file; one that is there is continued.",
)
@click.option(
    "--model",
    type=click.Choice(["mobilenet_v1", "resnet50_v1"]),
    help="Instead of CONFIG's model: this one at 224x224, without accuracy.",
)
@click.option(
    "--framework",
    type=click.Choice(["tensorflow", "onnxruntime"]),
    default="tensorflow",
    show_default=True,
    help="Of --model.",
)
@click.option("--accuracy/--no-accuracy", default=True, help="Whether to evaluate each model.")
@click.option(
    "--fallbacks",
    default="fp32,bf16",
    show_default=True,
    metavar="TYPES",
    help="To which types single ops fall back from all-int8.",
)
@click.option("--only-int8/--no-only-int8", default=True, help="Single ops in int8, rest fp32.")
@click.option(
    "--mixes", default=32, type=_COUNT, show_default=True, help="Random mixtures of ops."
)
@click.option(
    "--segments", default=16, type=_COUNT, show_default=True, help="Random mixtures of segments."
)
@click.option(
    "--cloud", default=40, type=_COUNT, show_default=True, help="Configurations near the bound."
)
@click.option(
    "--rounds",
    default=12,
    type=click.IntRange(2),
    show_default=True,
    help="Timed pairs per configuration.",
)
@click.option(
    "--noise-images",
    type=click.IntRange(1),
    help="For output noise; all that calibrate by default.",
)
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--check-optimum",
    type=int,
    metavar="BATCH",
    help="Record nothing: measure what the file makes the optimum at this batch size.",
)
@_errors_as_one_line
def record(config: Path, output: Path, check_optimum: int | None, **options: Any) -> None:
    """Record what many configurations of a model cost.

    Quantizes CONFIG's model in many op-wise ways and writes accuracy, output noise and latency
    of each to a JSON Lines file, row by row; started again, it goes on where it was.

    With --check-optimum (and the other options as the file was recorded with) the claimed
    optimum is built and measured; the result is appended to FILE.checks.ndjson.
    """
    run = _benchmarks("landscapes.record")
    design = _benchmarks("landscapes.design").DesignOptions(
        fallbacks=tuple(filter(None, options["fallbacks"].split(","))),
        only_int8=options["only_int8"],
        mixes=options["mixes"],
        segment_mixes=options["segments"],
        cloud=options["cloud"],
        seed=options["seed"],
    )
    how = run.RecordOptions(
        model=options["model"],
        framework=options["framework"],
        with_accuracy=options["accuracy"],
        noise_images=options["noise_images"],
        rounds=options["rounds"],
        design=design,
    )
    if check_optimum is not None:
        check = _benchmarks("landscapes.optimum_check").check_optimum(
            _read(config, None), output, how, check_optimum, _teller()
        )
        click.echo("\n".join(check.sentences()))
        return
    rows = run.record(_read(config, None), output, how, _teller())
    click.echo(f"{output}: {rows} rows")


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--batch-size", type=int, help="Only this one; default: all that were recorded.")
@_errors_as_one_line
def landscape(file: Path, batch_size: int | None) -> None:
    """Show how well a recorded landscape is known, and its optimum.

    FILE is what nc-sigopt record wrote. A surrogate is fitted to it; its errors are those on
    rows that it was not fitted to.
    """
    from .reporting.tables import table_console

    report = _benchmarks("landscapes.landscape_report")
    report.print_report(file, batch_size, table_console())


@cli.command()
@click.option(
    "--families",
    default="",
    metavar="NAMES",
    help="Synthetic families, with commas between; default: all; none: no synthetic landscape.",
)
@click.option(
    "--landscape",
    multiple=True,
    metavar="FILE[:BATCH]",
    help="A recorded landscape; default: those of the checkout; none: none of them.",
)
@click.option("--competitors", default="", metavar="NAMES", help="Default: all that can run here.")
@click.option("--seeds", default=30, show_default=True, help="How many; each draws an instance.")
@click.option(
    "--slow-seeds", default=5, show_default=True, help="At most, for competitors that are slow."
)
@click.option(
    "--slow-families", default="", metavar="NAMES", help="Where those run; default: everywhere."
)
@click.option("--trials", default=100, show_default=True, help="Budget of each run.")
@click.option("--images", default=5000, show_default=True, help="Behind a synthetic accuracy.")
@click.option("--jobs", default=0, help="Processes; default: one per core.")
@click.option(
    "--again", default="", metavar="NAMES", help="Competitors whose earlier runs are forgotten."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder; one that is there is continued.  [default: runs/race-<time>]",
)
@_errors_as_one_line
def race(**options: Any) -> None:
    """Race samplers against landscapes whose optimum is known.

    All start from the same first configurations and see the same measurement of the same
    configuration. Prints how much slower than the optimum the winners are. Leaves runs.jsonl,
    results.json, summary.json, tables.md and plots. Called again with the same --output, it makes
    the runs that are missing.
    """
    from .reporting.tables import table_console

    end, folder = _benchmarks("racing.command").run_race(options, table_console())
    click.echo(f"Everything about this race: {folder}")
    if end.interrupted:
        click.echo("nc-sigopt: interrupted; call it again with --output to go on", err=True)
        sys.exit(INTERRUPTED)


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


@experiments.command("export")
@click.argument("experiment_id", metavar="ID")
@_STORAGE
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="A .csv or .parquet file; - for CSV on standard output.",
)
@_errors_as_one_line
def export_experiment(experiment_id: str, storage: str | None, output: Path) -> None:
    """Write one experiment's observations as a table: a row each, a column per op and metric."""
    from .reporting.experiments import find_experiment
    from .reporting.export import observation_rows, write_rows

    connection = _connection(storage)
    find_experiment(connection, experiment_id)
    write_rows(observation_rows(connection, experiment_id), output)


add_commands(cli, _errors_as_one_line)


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
