"""``nc-sigopt record``, ``landscape`` and ``race``: how good samplers are, measured."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import click

from nc_sigopt_benchmarks.commands.run_configs import read_run_config
from nc_sigopt_strategy.cli.output import Output, output_options
from nc_sigopt_strategy.cli.shared import INTERRUPTED, errors_as_one_line

_COUNT = click.IntRange(0)


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "file",
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
    "--latency/--no-latency",
    default=True,
    help="Whether to time each model; without, there are no profiles and no cloud.",
)
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
@output_options()
@errors_as_one_line
def record(
    config: Path, file: Path, check_optimum: int | None, output: Output, **options: Any
) -> None:
    """Record what many configurations of a model cost.

    Quantizes CONFIG's model in many op-wise ways and writes accuracy, output noise and latency
    of each to a JSON Lines file, row by row; started again, it goes on where it was.

    With --check-optimum (and the other options as the file was recorded with) the claimed
    optimum is built and measured; the result is appended to FILE.checks.ndjson.
    """
    from nc_sigopt_benchmarks.research.landscapes import design, optimum_check
    from nc_sigopt_benchmarks.research.landscapes import record as run

    designed = design.DesignOptions(
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
        with_latency=options["latency"],
        noise_images=options["noise_images"],
        rounds=options["rounds"],
        design=designed,
    )
    if check_optimum is not None:
        check = optimum_check.check_optimum(
            read_run_config(config), file, how, check_optimum, output.teller()
        )
        output.found(dataclasses.asdict(check), *check.sentences())
        return
    rows = run.record(read_run_config(config), file, how, output.teller())
    output.found({"file": str(file), "rows": rows}, f"{file}: {rows} rows")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--batch-size", type=int, help="Only this one; default: all that were recorded.")
@output_options(as_json=False, quiet=False)
@errors_as_one_line
def landscape(file: Path, batch_size: int | None, output: Output) -> None:
    """Show how well a recorded landscape is known, and its optimum.

    FILE is what nc-sigopt record wrote. A surrogate is fitted to it; its errors are those on
    rows that it was not fitted to.
    """
    from nc_sigopt_benchmarks.research.landscapes import landscape_report
    from nc_sigopt_strategy.console.outcome_table import table_console

    landscape_report.print_report(file, batch_size, table_console())


@click.command()
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
    help="A recorded landscape; default: those that come with it; none: none of them.",
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
    "folder",
    type=click.Path(path_type=Path),
    help="Folder; one that is there is continued.  [default: runs/race-<time>]",
)
@output_options(as_json=False, quiet=False)
@errors_as_one_line
def race(folder: Path | None, output: Output, **options: Any) -> None:
    """Race samplers against landscapes whose optimum is known.

    All start from the same first configurations and see the same measurement of the same
    configuration. Prints how much slower than the optimum the winners are. Leaves runs.jsonl,
    results.json, summary.json, tables.md and plots. Called again with the same --output, it makes
    the runs that are missing.
    """
    from nc_sigopt_benchmarks.research.racing import command
    from nc_sigopt_strategy.console.outcome_table import table_console

    end, made = command.run_race({**options, "output": folder}, table_console())
    click.echo(f"Everything about this race: {made}")
    if end.interrupted:
        click.echo("nc-sigopt: interrupted; call it again with --output to go on", err=True)
        sys.exit(INTERRUPTED)
