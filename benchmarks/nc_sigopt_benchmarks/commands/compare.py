"""``nc-sigopt compare``: strategies side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nc_sigopt_benchmarks.commands.run_configs import read_run_config
from nc_sigopt_strategy.cli.output import Output, output_options, print_json
from nc_sigopt_strategy.cli.shared import (
    CRASHED,
    EXIT_CODES,
    FOUND,
    INTERRUPTED,
    NOTHING_FOUND,
    WRONG_USE,
    accept_fp32_option,
    closed_on_signals,
    errors_as_one_line,
    tell_crash,
)
from nc_sigopt_strategy.errors import ConfigFileError

if TYPE_CHECKING:
    from nc_sigopt_benchmarks.judging.comparison import Comparison


@click.command(epilog=EXIT_CODES)
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option(
    "--output", "place", type=click.Path(path_type=Path), help="Folder for the run's folder."
)
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
@accept_fp32_option
@output_options()
@closed_on_signals
@errors_as_one_line
def compare(
    config: Path | None,
    place: Path | None,
    resume: Path | None,
    folders: tuple[Path, ...],
    retime: bool,
    accept_fp32: bool,
    output: Output,
) -> None:
    """Compare strategies under the same bound and budget.

    Runs each strategy of CONFIG, a YAML file or the name of a built-in one such as demo, in a
    process of its own, then times the models found side by side and prints the tables. Leaves a
    run folder with report.html, plots, results.json, trials.jsonl, the best model and its recipe.
    """
    if bool(folders) == (config is not None):
        raise ConfigFileError(
            "compare takes either a CONFIG to run or --from to draw what was run.",
            "For example: nc-sigopt compare demo, or "
            "nc-sigopt compare --from runs/demo-20261125-064844.",
        )
    for option, given, belongs in (("--resume", resume, config), ("--retime", retime, folders)):
        if given and not belongs:
            other = "a CONFIG" if option == "--resume" else "--from"
            raise ConfigFileError(f"{option} is given without {other}.", f"Add {other}.")
    # Frameworks and plots, which --help must not wait for.
    from nc_sigopt_benchmarks.comparing import compare as comparing
    from nc_sigopt_benchmarks.comparing import joining

    if config is not None:
        read = read_run_config(config, place)
        comparison, folder = comparing.compare(
            read, output.teller(), progress=output.progress, resume=resume
        )
    else:
        comparison, folder = joining.redraw(folders, place, output.teller(), retime=retime)
    _print(comparison, folder, output)
    if comparison.interrupted and config is not None:
        again = f"nc-sigopt compare {config} --resume {folder}"
        click.echo(f"nc-sigopt: interrupted; to go on: {again}", err=True)
        sys.exit(INTERRUPTED)
    crashed = comparison.crashed
    if crashed is not None and crashed.crash is not None:
        tell_crash(crashed.crash, f"{crashed.label}: {crashed.failure or 'your own code failed'}")
        sys.exit(CRASHED)
    if comparison.wrong_use:
        sys.exit(WRONG_USE)
    helped = comparison.found if accept_fp32 else comparison.found_faster
    sys.exit(FOUND if helped else NOTHING_FOUND)


def _print(comparison: Comparison, folder: Path, output: Output) -> None:
    report = folder / "report.html"
    if output.as_json:
        found = str(report) if report.is_file() else None
        print_json({"folder": str(folder), "report": found, "comparison": comparison.to_json()})
        return
    if output.quiet:
        for sentence in (*comparison.verdicts, str(folder)):
            click.echo(sentence)
        return
    from nc_sigopt_benchmarks.reporting.tables import comparison_tables
    from nc_sigopt_strategy.console.outcome_table import table_console

    console = table_console()
    for table in comparison_tables(comparison):
        console.print(table)
        console.print()
    for sentence in (comparison.accuracy_note, *comparison.verdicts):
        console.print(f"- {sentence}")
    click.echo(f"Report: {report}" if report.is_file() else f"Run folder: {folder}")
