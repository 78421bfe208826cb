"""``nc-sigopt experiments``: what is kept in a store, and carrying it elsewhere and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nc_sigopt_strategy.cli.output import Output, output_options, print_json
from nc_sigopt_strategy.cli.shared import errors_as_one_line
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.settings.choices import DEFAULT_PROJECT_ID


@click.group()
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
@output_options(quiet=False)
@errors_as_one_line
def list_experiments(storage: str | None, output: Output) -> None:
    """List all experiments: id, name, date, state, observations, budget, the best so far."""
    from nc_sigopt_strategy.console.experiments import list_rows, print_experiments
    from nc_sigopt_strategy.console.outcome_table import table_console

    if output.as_json:
        print_json(list_rows(_connection(storage)))
        return
    print_experiments(_connection(storage), table_console())


@experiments.command("show")
@click.argument("experiment_id", metavar="ID")
@_STORAGE
@output_options(quiet=False)
@errors_as_one_line
def show_experiment(experiment_id: str, storage: str | None, output: Output) -> None:
    """Show one experiment: its metrics, its best assignments, its observations."""
    from nc_sigopt_strategy.console.experiments import experiment_json, print_experiment
    from nc_sigopt_strategy.console.outcome_table import table_console

    if output.as_json:
        print_json(experiment_json(_connection(storage), experiment_id))
        return
    print_experiment(_connection(storage), experiment_id, table_console())


_SERVER = click.option(
    "--server",
    metavar="URL",
    help="A SigOpt server instead of a store; its token is read from SIGOPT_API_TOKEN.",
)


@experiments.command("export")
@click.argument("experiment_id", metavar="ID")
@_STORAGE
@_SERVER
@click.option(
    "--output",
    "file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="A .csv, .parquet or .json file; - for CSV on standard output.",
)
@output_options()
@errors_as_one_line
def export_experiment(
    experiment_id: str, storage: str | None, server: str | None, file: Path, output: Output
) -> None:
    """Write one experiment: its observations as a table, or all of it as JSON.

    A table has a row for each observation and a column for each op and metric. What .json holds
    can be imported elsewhere.
    """
    from nc_sigopt_strategy.console.export import STANDARD_OUTPUT

    if file == STANDARD_OUTPUT and output.as_json:
        raise DataError(
            "--json does not go with --output -, which prints a table of its own.",
            "Leave one of them out; a file called .json holds all of the experiment.",
        )
    if file.suffix == ".json":
        from nc_sigopt_strategy.transfer.document import write_document
        from nc_sigopt_strategy.transfer.places import open_place

        write_document(open_place(storage, server).fetch(experiment_id), file)
    else:
        _export_table(experiment_id, storage, server, file)
    if file != STANDARD_OUTPUT:
        said = f"Written: {file}"
        output.found({"experiment": experiment_id, "written": str(file)}, further=said)


def _export_table(experiment_id: str, storage: str | None, server: str | None, file: Path) -> None:
    from nc_sigopt_strategy.console.experiments import find_experiment
    from nc_sigopt_strategy.console.export import observation_rows, write_rows

    if server is not None:
        raise DataError(
            f"Of an experiment on a server {file} cannot be written.",
            "Export it as .json, import that into a store, and make the table of it there.",
        )
    connection = _connection(storage)
    find_experiment(connection, experiment_id)
    write_rows(observation_rows(connection, experiment_id), file)


@experiments.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--observations",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Its observations, as .csv or .json, where FILE holds none.",
)
@_STORAGE
@_SERVER
@click.option("--project", default=DEFAULT_PROJECT_ID, show_default=True, help="Its project.")
@click.option(
    "--without",
    multiple=True,
    metavar="KEY",
    help="Leave this key of the experiment out, such as linear_constraints.",
)
@output_options(quiet=False)
@errors_as_one_line
def import_experiment(
    file: Path,
    observations: Path | None,
    project: str,
    without: tuple[str, ...],
    output: Output,
    **place: Any,
) -> None:
    """Make an experiment anew, with all its observations, and print its id.

    FILE is what export wrote, an experiment as SigOpt's API shows it (.json), or the file from
    which SigOpt's command line makes one (.yml).
    """
    from nc_sigopt_strategy.transfer.document import read_experiment
    from nc_sigopt_strategy.transfer.places import open_place

    document = read_experiment(file, observations)
    target = open_place(place["storage"], place["server"], project=project)
    made = target.store(document, project, without)
    output.found({"experiment": str(made)}, str(made))


def _connection(storage: str | None) -> Any:
    """A connection to a store that is there: looking at it must not make one."""
    from nc_sigopt_strategy.transfer.places import open_place

    return open_place(storage, None).connection
