"""``nc-sigopt init``: the files to begin with, for a model that is there."""

from __future__ import annotations

from pathlib import Path

import click

from nc_sigopt_strategy.cli.output import Output, output_options
from nc_sigopt_strategy.cli.shared import errors_as_one_line


@click.command()
@click.argument("model", metavar="[MODEL]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--example",
    is_flag=True,
    help="Without a model of yours: one that reads handwritten digits, and its data.",
)
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
def init(model: Path | None, example: bool, folder: Path, force: bool, output: Output) -> None:
    """Write pipeline.py and a commented run configuration for MODEL.

    They name the model's own inputs with shapes and types. What is left is to load your data in
    pipeline.py, where a TODO stands. With --example nothing is left: the model is written, too.
    """
    from nc_sigopt_strategy.jobs.first_files import write_example_files, write_first_files

    if (model is None) != example:
        given = "got neither" if model is None else f"got both, and {str(model)!r} for the path"
        raise click.UsageError(f"Give either the path of a model or --example: {given}.")
    if model is None:
        model, data, *others = write_example_files(folder, overwrite=force)
        written, first = [model, data, *others], "Next:"
    else:
        written = write_first_files(model, folder, overwrite=force)
        data = written[0]
        first = f"Next: load your data where {data.name} says TODO, then"
    output.found(
        {"written": [str(path) for path in written]},
        *(f"Written: {path}" for path in written),
        further=f"{first}\n  nc-sigopt check {model} --data {data}",
    )
