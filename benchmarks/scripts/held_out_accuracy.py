"""Does a bound that was met on the images tuned on hold on others?

    python benchmarks/scripts/held_out_accuracy.py configs/held_out.yaml --seeds 5
    python benchmarks/scripts/held_out_accuracy.py --from runs/a --from runs/b

Runs one comparison per seed of the data's split, each with held-out images, and prints the loss
against FP32 on them: for each split, and pooled over the splits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.table import Table

from nc_sigopt_benchmarks.comparing.compare import compare
from nc_sigopt_benchmarks.comparing.run_folder import read_comparison
from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_benchmarks.judging.accuracy_statistics import paired_bootstrap_drop
from nc_sigopt_benchmarks.judging.image_by_image import Answers
from nc_sigopt_benchmarks.judging.timing import FP32
from nc_sigopt_strategy.console.outcome_table import table_console
from nc_sigopt_strategy.errors import SigOptStrategyError
from nc_sigopt_strategy.results.interval import Interval


@click.command()
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--from", "folders", multiple=True, type=click.Path(path_type=Path), metavar="DIR")
def main(config: Path | None, seeds: int, folders: tuple[Path, ...]) -> None:
    """Run CONFIG with several splits of its data, or read comparisons that were run."""
    try:
        if config is not None:
            folders = tuple(_runs(config, seeds))
        _print(folders)
    except SigOptStrategyError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


def _runs(path: Path, seeds: int) -> Iterator[Path]:
    """Compare once per split. Workers read the file again, so each split is a file of its own."""
    from ruamel.yaml import YAML

    yaml = YAML()
    first = read_config(path)
    for seed in range(first.data.seed, first.data.seed + seeds):
        values = yaml.load(path.read_text(encoding="utf-8"))
        values.setdefault("data", {})["seed"] = seed
        values["name"] = f"{first.name}-{seed}"
        own = path.with_name(f".{path.stem}-{seed}.yaml")
        try:
            with own.open("w", encoding="utf-8") as stream:
                yaml.dump(values, stream)
            config = read_config(own)
            _, folder = compare(config, click.echo, progress=False)
        finally:
            own.unlink(missing_ok=True)
        yield folder


def _print(folders: Sequence[Path]) -> None:
    table = Table(box=None)
    for name in ("split", "strategy", "tuned on", "held out", "FP32 there", "drop", "allowed", ""):
        table.add_column(name)
    labels: dict[str, None] = {}
    for folder in folders:
        comparison = read_comparison(folder)
        for result in comparison.strategies:
            held_out = result.held_out
            best = result.outcome.best if result.outcome else None
            if held_out is None or best is None:
                table.add_row(folder.name, result.label, "found none")
                continue
            labels[result.label] = None
            table.add_row(
                folder.name,
                result.label,
                f"{best.accuracy:.4f}",
                f"{held_out.accuracy:.4f}",
                f"{held_out.baseline_accuracy:.4f}",
                _interval(held_out.drop),
                f"{held_out.allowed_drop:.4f}",
                "consistent" if held_out.consistent else "refuted",
            )
    for label in labels:
        table.add_row("all", label, "", "", "", _interval(_pooled(folders, label)))
    table_console().print(table)


def _pooled(folders: Sequence[Path], label: str) -> Interval:
    """Over all splits: they draw from the same images, so that an image may be in several."""
    answers = [Answers.read(folder) for folder in folders]
    answers = [split for split in answers if label in split.right]
    return paired_bootstrap_drop(
        [split.right[FP32] for split in answers],
        [split.right[label] for split in answers],
        images=[split.images for split in answers],
    )


def _interval(interval: Interval) -> str:
    return f"{interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


if __name__ == "__main__":
    main()
