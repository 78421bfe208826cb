"""``nc-sigopt init``: the files to begin with, for a model that is there."""

from __future__ import annotations

from pathlib import Path

import click

from nc_sigopt_strategy.cli.output import json_option, print_json
from nc_sigopt_strategy.cli.shared import errors_as_one_line


@click.command()
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="FOLDER",
    help="Where the files go.  [default: here]",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@json_option
@errors_as_one_line
def init(model: Path, output: Path, force: bool, as_json: bool) -> None:
    """Write pipeline.py and a commented run configuration for MODEL.

    They name the model's own inputs with shapes and types. What is left is to load your data in
    pipeline.py, where a TODO stands.
    """
    from nc_sigopt_strategy.jobs.first_files import write_first_files

    written = write_first_files(model, output, overwrite=force)
    if as_json:
        print_json({"written": [str(path) for path in written]})
        return
    for path in written:
        click.echo(f"Written: {path}")
    click.echo(
        f"Next: load your data where {written[0].name} says TODO, then\n"
        f"  nc-sigopt check {model} --data {written[0]}"
    )
