"""How often is a bound broken on other images than a model was tuned on, and what does it cost?

    python benchmarks/scripts/bound_on_other_images.py runs/answers.jsonl --play --splits 10
    python benchmarks/scripts/bound_on_other_images.py runs/answers.jsonl --splits 100

MobileNet_v1 with the real weights and images (NC_SIGOPT_ASSETS), TensorFlow. Which images each
configuration gets right is measured once and kept in the file; latencies are those of the recorded
landscape. Half of the 400 images tunes, the other half judges. With --play each split is a run of
the sampler of its own; else trials are drawn from the configurations in the file, the first four
and all in fp32 among them, so that many splits take a minute.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from rich.table import Table

from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_benchmarks.research.landscapes.bench import Bench
from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.landscapes.subject import find_subject
from nc_sigopt_benchmarks.research.other_images.answers import AnswerBook, Right, read_book
from nc_sigopt_benchmarks.research.other_images.halves import (
    HalfMeasuring,
    Split,
    landscape_on,
)
from nc_sigopt_benchmarks.research.other_images.judging import (
    RULES,
    OnOtherHalf,
    trials_on,
    winner_elsewhere,
)
from nc_sigopt_benchmarks.research.racing.run import play
from nc_sigopt_benchmarks.research.racing.sources import SHIPPED, Source
from nc_sigopt_benchmarks.research.racing.trial import Trial
from nc_sigopt_strategy.console.outcome_table import table_console
from nc_sigopt_strategy.errors import SigOptStrategyError
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.paired import BesideFp32

BATCH = 20
SEEDED = 4
# How often it is looked whether an evaluation may end.
LOOKS = 50


@click.command()
@click.argument("answers", type=click.Path(path_type=Path))
@click.option("--config", default="configs/samplers.yaml", type=click.Path(path_type=Path))
@click.option("--splits", default=10, show_default=True, type=click.IntRange(1))
@click.option("--trials", default=25, show_default=True, type=click.IntRange(SEEDED + 1))
@click.option("--confidence", default=0.95, show_default=True, help="Of the runs with --play.")
@click.option("--play", "plays", is_flag=True, help="Run the sampler, and measure what is new.")
def main(
    answers: Path, config: Path, splits: int, trials: int, confidence: float, plays: bool
) -> None:
    """Tune on half of the images, judge on the other half, once per split."""
    landscape = Source(path=SHIPPED / "mobilenet_v1_tf.jsonl", batch_size=BATCH).load(0, 0)
    try:
        with _book(answers, config, landscape, plays) as book:
            found: dict[str, list[OnOtherHalf | None]] = {rule.name: [] for rule in RULES}
            for seed in range(splits):
                split = Split.of(len(book.fp32), seed)
                run = (
                    _played(landscape, book, split, trials, confidence)
                    if plays
                    else _drawn(landscape, book, split, trials)
                )
                for rule in RULES:
                    won = winner_elsewhere(landscape, book, split, run, rule)
                    found[rule.name].append(won)
            _print(found)
            for images in (len(book.fp32), 5_000, 50_000):
                click.echo(_early_ends(book, images))
    except SigOptStrategyError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


@contextlib.contextmanager
def _book(path: Path, config: Path, landscape: Landscape, plays: bool) -> Iterator[AnswerBook]:
    if not plays:
        book = read_book(path)
        yield book
        book.close()
        return
    subject = find_subject(
        read_config(config), model=None, framework="tensorflow", with_accuracy=True,
        tell=click.echo,
    )  # fmt: skip
    with Bench(
        subject, batch_sizes=(BATCH,), rounds={BATCH: 2}, noise_images=BATCH, seed=0
    ) as bench:
        names = [parameter.name for parameter in bench.quantizer.space.parameters]
        order = [list(landscape.parameters).index(name) for name in names]

        def measure(labels: Sequence[str]) -> tuple[float, Right]:
            return bench.answers([labels[position] for position in order])

        book = AnswerBook(path, measure, bench.fp32_right)
        yield book
        book.close()


def _played(
    landscape: Landscape, book: AnswerBook, split: Split, trials: int, confidence: float
) -> list[Trial]:
    here = landscape_on(landscape, book, split)
    here = dataclasses.replace(here, bound_confidence=confidence)
    measuring = HalfMeasuring(here, split.seed, book, split)
    found = play(here, split.seed, "quantization", trials, measuring).trials
    click.echo(f"split {split.seed}: {len(found)} trials, {book.measured} measured so far")
    return found


def _drawn(landscape: Landscape, book: AnswerBook, split: Split, trials: int) -> list[Trial]:
    known = [_choice(landscape, labels) for labels in book.labels()]
    fp32 = [n for n, labels in enumerate(book.labels()) if set(labels) == {"fp32"}]
    rng = np.random.default_rng(1000 + split.seed)
    drawn = rng.choice(len(known), min(trials, len(known)), replace=False)
    chosen = dict.fromkeys([*range(min(SEEDED, len(known))), *fp32, *drawn.tolist()])
    return trials_on(landscape, book, split, [known[n] for n in list(chosen)[:trials]])


def _choice(landscape: Landscape, labels: Sequence[str]) -> Choices:
    return landscape.positions(dict(zip(landscape.parameters, labels, strict=True)))


def _print(found: dict[str, list[OnOtherHalf | None]]) -> None:
    table = Table(box=None)
    for name in ("winner by", "splits", "bound broken", "mean drop", "allowed", "times FP32", ""):
        table.add_column(name)
    for name, several in found.items():
        won = [one for one in several if one is not None]
        if not won:
            table.add_row(name, str(len(several)), "", "", "", "", "no model")
            continue
        none = len(several) - len(won)
        table.add_row(
            name,
            str(len(several)),
            str(sum(one.broken for one in won)),
            f"{np.mean([one.drop for one in won]):.4f}",
            f"{np.mean([one.allowed for one in won]):.4f}",
            f"{np.median([one.speedup for one in won]):.2f}",
            f"no model in {none}" if none else "",
        )
    table_console().print(table)


def _early_ends(book: AnswerBook, images: int, orders: int = 4) -> str:
    """How many images configurations take to be given up, over orders of the images.

    Args:
        book: The answers.
        images: How many there are; more than in the book are drawn from it, with replacement.
        orders: How often they are drawn.
    """
    taken, lost = [], 0
    looks = [images * look // LOOKS for look in range(1, LOOKS)]
    for seed in range(orders):
        rng = np.random.default_rng(seed)
        few = len(book.fp32)
        drawn = rng.permutation(few) if images <= few else rng.integers(0, few, images)
        fp32 = book.fp32[drawn].astype(float)
        bound = AccuracyBound.of(
            float(fp32.mean()), relative=True, tolerable_loss=0.01, higher_is_better=True
        )
        rule = BesideFp32(fp32, bound)
        for labels in book.labels():
            right = book.of(labels).right[drawn].astype(float)
            end = next((look for look in looks if rule.is_enough(right[:look])), images)
            if not bound.met(float(right.mean())):
                taken.append(end / images)
            elif end < images:
                lost += 1
    return (
        f"Of {images} images {np.mean(taken):.0%} are evaluated for a configuration that misses "
        f"the bound on them (mean of {len(taken)}); given up though they meet it: {lost}."
    )


if __name__ == "__main__":
    main()
