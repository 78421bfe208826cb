"""``nc-sigopt init``: the files to begin with, for a model that is there."""

from __future__ import annotations

from pathlib import Path

import click

from nc_sigopt_strategy.cli.output import Output, output_options
from nc_sigopt_strategy.cli.shared import errors_as_one_line


@click.command()
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="FOLDER",
    help="Where the files go.  [default: here]",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@output_options()
@errors_as_one_line
def init(model: Path, folder: Path, force: bool, output: Output) -> None:
    """Write pipeline.py and a commented run configuration for MODEL.

    They name the model's own inputs with shapes and types. What is left is to load your data in
    pipeline.py, where a TODO stands.
    """
    from nc_sigopt_strategy.jobs.first_files import write_first_files

    written = write_first_files(model, folder, overwrite=force)
    output.found(
        {"written": [str(path) for path in written]},
        *(f"Written: {path}" for path in written),
        further=f"Next: load your data where {written[0].name} says TODO, then\n"
        f"  nc-sigopt check {model} --data {written[0]}",
    )
