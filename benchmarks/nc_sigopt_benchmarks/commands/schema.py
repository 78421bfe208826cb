"""``nc-sigopt schema``: what editors read to complete and check run configurations."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nc_sigopt_strategy.cli.output import Output, output_options
from nc_sigopt_strategy.cli.shared import errors_as_one_line
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.jobs.editor_schema import pointer_to


@click.command()
@click.option(
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it there.  [default: print it]",
)
@output_options(as_json=False)
@errors_as_one_line
def schema(file: Path | None, output: Output) -> None:
    """Give the JSON schema of run configurations, which tune and compare read.

    An editor with a YAML language server completes and checks a file whose first line names it:
    # yaml-language-server: $schema=FILE
    """
    # Pydantic, which --help must not wait for.
    from nc_sigopt_benchmarks.config.schema import config_schema

    text = json.dumps(config_schema(), indent=2)
    if file is None:
        click.echo(text)
        return
    try:
        write_whole(file, text + "\n")
    except OSError as error:
        raise ConfigFileError(
            f"The schema cannot be written to {file}: {error}.",
            "Name another file with --output.",
        ) from error
    begins = pointer_to(file.name).rstrip("\n")
    further = f"A run configuration beside it begins with:\n{begins}"
    output.found(None, f"Written: {file}", further=further)
