"""``nc-sigopt experiments``: what is kept in a local store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nc_sigopt_strategy.cli.output import json_option, print_json
from nc_sigopt_strategy.cli.shared import errors_as_one_line


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
@json_option
@errors_as_one_line
def list_experiments(storage: str | None, as_json: bool) -> None:
    """List all experiments: id, name, date, state, observations, budget, the best so far."""
    from nc_sigopt_strategy.console.experiments import list_rows, print_experiments
    from nc_sigopt_strategy.console.outcome_table import table_console

    if as_json:
        print_json(list_rows(_connection(storage)))
        return
    print_experiments(_connection(storage), table_console())


@experiments.command("show")
@click.argument("experiment_id", metavar="ID")
@_STORAGE
@json_option
@errors_as_one_line
def show_experiment(experiment_id: str, storage: str | None, as_json: bool) -> None:
    """Show one experiment: its metrics, its best assignments, its observations."""
    from nc_sigopt_strategy.console.experiments import experiment_json, print_experiment
    from nc_sigopt_strategy.console.outcome_table import table_console

    if as_json:
        print_json(experiment_json(_connection(storage), experiment_id))
        return
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
@errors_as_one_line
def export_experiment(experiment_id: str, storage: str | None, output: Path) -> None:
    """Write one experiment's observations as a table: a row each, a column per op and metric."""
    from nc_sigopt_strategy.console.experiments import find_experiment
    from nc_sigopt_strategy.console.export import observation_rows, write_rows

    connection = _connection(storage)
    find_experiment(connection, experiment_id)
    write_rows(observation_rows(connection, experiment_id), output)


def _connection(storage: str | None) -> Any:
    from nc_sigopt_strategy.console.experiments import open_existing

    return open_existing(storage)
