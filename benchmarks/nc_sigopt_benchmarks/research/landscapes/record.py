"""Record a landscape: measure the configurations of the design and write them row by row."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.machine.facts import host_facts
from nc_sigopt_benchmarks.research.landscapes.bench import Bench
from nc_sigopt_benchmarks.research.landscapes.cloud import SingleOps, cloud_rows, noise_targets
from nc_sigopt_benchmarks.research.landscapes.design import CLOUD, Design, DesignOptions
from nc_sigopt_benchmarks.research.landscapes.landscape_file import (
    FORMAT,
    KIND,
    LandscapeRow,
    LandscapeWriter,
    read_landscape_file,
)
from nc_sigopt_benchmarks.research.landscapes.profiles import (
    Labels,
    profile_missing,
    profiled_models,
)
from nc_sigopt_benchmarks.research.landscapes.recording_progress import RecordingProgress
from nc_sigopt_benchmarks.research.landscapes.subject import Making, Subject, find_subject
from nc_sigopt_strategy.version import __version__

SMALL_BATCH = 1
# A batch of one is quick and its times scatter more.
SMALL_BATCH_ROUNDS = 3


@dataclass(frozen=True)
class RecordOptions:
    """How to record.

    Attributes:
        model: One of ours with random weights; ``None``: the configuration's.
        framework: Of ``model``.
        with_accuracy: Whether to evaluate, where the model's weights allow it.
        with_latency: Whether to time; without, there are no profiles and no cloud, which is chosen
            by latencies.
        noise_images: How many calibration images output noise is measured on; ``None`` for all.
        rounds: Pairs of timed runs at the large batch size, three times as many at 1.
        design: Which configurations.
        making: How models are made.
    """

    model: str | None = None
    framework: str = "tensorflow"
    with_accuracy: bool = True
    with_latency: bool = True
    noise_images: int | None = None
    rounds: int = 12
    design: DesignOptions = field(default_factory=DesignOptions)
    making: Making = field(default_factory=Making)


class Measures(Protocol):
    """What measures one configuration; ``Bench`` does."""

    def measure(self, origin: str, labels: Labels) -> LandscapeRow:
        """The row of one configuration."""
        ...


def record(
    config: RunConfig, path: Path, options: RecordOptions, tell: Callable[[str], None]
) -> int:
    """Record the landscape of a run configuration's model.

    Args:
        config: The run configuration.
        path: A new file, or one that is continued, with models made as they were.
        options: How.
        tell: Gets lines of text.

    Returns:
        How many rows the file has.

    Raises:
        SigOptStrategyError: The model or the data cannot be used, or the file is another
            recording's.
    """
    options = replace(options, making=making_of(path))
    subject, bench = prepare_bench(config, options, tell)
    with bench:
        header = make_header(config, options, subject, bench)
        wanted = options.design if options.with_latency else replace(options.design, cloud=0)
        design = make_design(bench, wanted)
        with (
            LandscapeWriter(path, header) as writer,
            RecordingProgress(rows_expected(writer, design)) as progress,
        ):
            models = (
                profiled_models(space_of(bench), design.default) if options.with_latency else {}
            )
            profile_missing(models, writer, bench, progress.profile_done)
            # Rows of the cloud are chosen from those before it, so that they are the same again.
            measure_missing(design, writer, bench, progress.row_done)
            cloud = choose_cloud(writer, design, subject.batch_size)
            measure_missing(cloud, writer, bench, progress.row_done)
            return len(writer.rows)


def prepare_bench(
    config: RunConfig, options: RecordOptions, tell: Callable[[str], None]
) -> tuple[Subject, Bench]:
    """The model and what measures it, not yet entered."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import neural_compressor  # noqa: F401  it sets its logger up when imported

    logging.getLogger("neural_compressor").setLevel(logging.ERROR)
    subject = find_subject(
        config,
        model=options.model,
        framework=options.framework,
        with_accuracy=options.with_accuracy,
        tell=tell,
    )
    sizes = tuple(sorted({SMALL_BATCH, subject.batch_size}))
    rounds = {
        size: options.rounds * (SMALL_BATCH_ROUNDS if size == SMALL_BATCH else 1) for size in sizes
    }
    bench = Bench(
        subject,
        batch_sizes=sizes,
        rounds=rounds,
        noise_images=options.noise_images or len(subject.images),
        seed=options.design.seed,
        making=options.making,
        with_latency=options.with_latency,
    )
    return subject, bench


def make_design(bench: Bench, options: DesignOptions) -> Design:
    """The design for the search space of a bench."""
    parameters, default = space_of(bench), bench.quantizer.space.default
    return Design(parameters, tuple(default[name] for name in parameters), options)


def space_of(bench: Bench) -> dict[str, Labels]:
    """Name to values of the parameters of a bench, in graph order."""
    return {p.name: p.values for p in bench.quantizer.space.parameters}


def making_of(path: Path) -> Making:
    """How the models of a file are made; of a new one, as a run makes them by default.

    Raises:
        DataError: There is another file.
    """
    if not path.exists() or b"\n" not in path.read_bytes():
        return Making()
    plain, usual = read_landscape_file(path).header.get("making") or {}, Making()
    return Making(
        plain.get("calibration", usual.calibration), plain.get("finishing", usual.finishing)
    )


def make_header(
    config: RunConfig, options: RecordOptions, subject: Subject, bench: Bench
) -> dict[str, Any]:
    """What a landscape file begins with, as plain data."""
    space, host = bench.quantizer.space, host_facts()
    return {
        "format": FORMAT,
        "kind": KIND,
        "model": subject.case.model,
        "weights": subject.case.weights,
        "framework": subject.case.framework,
        "parameters": [{"name": p.name, "values": list(p.values)} for p in space.parameters],
        "op_graph": bench.quantizer.op_graph(),
        "default": [space.default[p.name] for p in space.parameters],
        "baseline_accuracy": bench.baseline_accuracy,
        "images": {
            "calibration": len(subject.images),
            "evaluation": 0 if subject.evaluation is None else len(subject.evaluation),
            "output_noise": options.noise_images or len(subject.images),
        },
        "relative_bound": config.accuracy_criterion.tolerable_loss,
        "batch_sizes": list(bench.reference_seconds),
        "reference_seconds": {str(s): value for s, value in bench.reference_seconds.items()},
        "rounds": options.rounds,
        "seed": options.design.seed,
        "making": dataclasses.asdict(options.making),
        "cpu": {"name": host["cpu"], "cores": host["cores"]},
        "versions": {"nc_sigopt_strategy": __version__, **host["versions"]},
        "host": host,
    }


def choose_cloud(
    writer: LandscapeWriter, design: Design, batch_size: int
) -> list[tuple[str, Labels]]:
    """The configurations of the cloud, as a function of the header and the rows before it."""
    before = [row for row in writer.rows if not row.origin.startswith(CLOUD)]
    if not design.options.cloud:
        return []
    single = SingleOps.of(before, design, batch_size)
    baseline = writer.header["baseline_accuracy"]
    bound = (baseline or 0.0) * (1 - writer.header["relative_bound"])
    targets = noise_targets(before, baseline, bound)
    return cloud_rows(design, single, targets, design.options.cloud)


def rows_expected(writer: LandscapeWriter, design: Design) -> int:
    """How many rows a file will have in the end, at most."""
    missing = {labels for _, labels in design if not writer.has(labels)}
    recorded = sum(row.origin.startswith(CLOUD) for row in writer.rows)
    return len(writer.rows) + len(missing) + max(0, design.options.cloud - recorded)


def measure_missing(
    configurations: Iterable[tuple[str, Labels]],
    writer: LandscapeWriter,
    bench: Measures,
    row_done: Callable[[LandscapeRow, int], None],
) -> None:
    """Measure and write the configurations that the file does not have yet.

    Args:
        configurations: Origin and labels of each.
        writer: The open file.
        bench: Measures one.
        row_done: Gets each new row and how many rows the file has.
    """
    for origin, labels in _missing(configurations, writer):
        row = bench.measure(origin, labels)
        writer.add(row)
        row_done(row, len(writer.rows))


def _missing(
    configurations: Iterable[tuple[str, Labels]], writer: LandscapeWriter
) -> Iterator[tuple[str, Labels]]:
    for origin, labels in configurations:
        if not writer.has(labels):
            yield origin, labels
