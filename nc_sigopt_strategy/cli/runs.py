"""``nc-sigopt runs``: what was run here; ``nc-sigopt report``: the page of one of them."""

from __future__ import annotations

from pathlib import Path

import click

from nc_sigopt_strategy.cli.output import Output, output_options, print_json
from nc_sigopt_strategy.cli.shared import errors_as_one_line


@click.command()
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@output_options(quiet=False)
@errors_as_one_line
def runs(folders: tuple[Path, ...], output: Output) -> None:
    """List the runs below a folder, by default this one: of tune, compare, autotune and fit.

    Date, model, runtime, bound, best accuracy, speed-up over FP32, state and run folder. A run
    whose process is gone without an outcome has died; its trials are in its store, and it goes on
    with --join.
    """
    from nc_sigopt_strategy.reports.run_list import find_runs, print_runs

    found = find_runs(folders or (Path(),))
    if output.as_json:
        print_json([run.to_json() for run in found])
        return
    from nc_sigopt_strategy.console.outcome_table import table_console

    print_runs(found, table_console())


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--beside", type=click.Path(path_type=Path), metavar="RUN",
              help="An earlier run: what is different from it.")  # fmt: skip
@click.option(
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the page goes.  [default: report.html in the run folder]",
)
@output_options(quiet=False)
@errors_as_one_line
def report(run: Path, beside: Path | None, file: Path | None, output: Output) -> None:
    """Write the page of a run: one HTML file that opens without a network.

    RUN is a run folder: of tune, autotune or fit, or of one strategy of a comparison.
    """
    from nc_sigopt_strategy.reports.run_page import written_page

    path = written_page(run, beside, file)
    output.found({"report": str(path)}, f"Report: {path}")
