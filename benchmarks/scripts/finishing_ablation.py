"""What each rewrite of a TensorFlow graph brings: graphs finished with all, and all but one.

    python benchmarks/scripts/finishing_ablation.py mobilenet_v1 --batch 20 --rounds 11
    python benchmarks/scripts/finishing_ablation.py resnet50_v1 --batch 4 --batch 1

CPU time of one thread, models in turn, over Neural Compressor's graph of the same choices: the
median of the rounds' ratios, and their middle half. A rewrite that changes nothing in a graph has
no row. MobileNet_v1 has ImageNet weights where NC_SIGOPT_ASSETS is set, ResNet50_v1 random ones.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np
import tensorflow as tf
from rich.table import Table

from nc_sigopt_benchmarks.models.digits import cache_folder
from nc_sigopt_benchmarks.research.calibration.calibration_cases import (
    MODELS,
    CalibrationCase,
    calibration_case,
    calibration_images,
)
from nc_sigopt_benchmarks.running.quantizer import Quantizer
from nc_sigopt_strategy.backends.finishing.editable_graph import EditableGraph
from nc_sigopt_strategy.backends.finishing.finish import REWRITES
from nc_sigopt_strategy.console.outcome_table import table_console
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage

_INC, _ALL = "Neural Compressor's", "all"
# Rewrites that are one thing to leave out: what joins chains, and what removes the Casts around.
_TOGETHER = {"remove_cast_pairs": "join_bf16_chains", "share_casts": "join_bf16_chains"}
_WARMUP = 3
# Share of the ops that are bf16 in a mixed configuration, the others being int8.
_BF16_SHARE = 0.4

Assignments = dict[str, str]


@click.command()
@click.argument("model", type=click.Choice(MODELS))
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1), default=(20, 1))
@click.option("--rounds", default=11, show_default=True, type=click.IntRange(1))
@click.option("--random", "count", default=4, show_default=True, type=click.IntRange(0))
def main(model: str, batches: Sequence[int], rounds: int, count: int) -> None:
    """Time MODEL in several configurations and print one table for each size of a batch."""
    case = calibration_case(model, "tensorflow", cache_folder())
    images = calibration_images(max(*batches, 20))
    graphs = _graphs(case, images[:20], count)
    for size in batches:
        table = Table("choices", "rewrites", "ms", "over INC's", title=f"{model}, batch {size}")
        for name, graph_def in graphs.items():
            variants = _variants(graph_def, case.outputs)
            milliseconds = _timed(variants, case, images[:size], rounds)
            for variant, times in milliseconds.items():
                ratios = milliseconds[_INC] / times
                low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
                table.add_row(
                    name,
                    variant,
                    f"{np.median(times):.2f}",
                    f"{middle:.2f} ({low:.2f} to {high:.2f})",
                )
                name = ""
            table.add_section()
        table_console().print(table)


def _graphs(case: CalibrationCase, images: Any, count: int) -> dict[str, Any]:
    """Configuration to Neural Compressor's graph of it."""
    with tempfile.TemporaryDirectory() as workspace:
        quantizer = case.quantizer(images, len(images), Path(workspace), preset="dtype")
        with CalibratedOnce(quantizer.framework, CalibrationUsage()):
            return {
                name: quantizer.quantize(chosen).graph_def
                for name, chosen in _configurations(quantizer, count).items()
            }


def _configurations(quantizer: Quantizer, count: int) -> dict[str, Assignments]:
    parameters = quantizer.space.parameters
    default = quantizer.space.default
    can_bf16 = {p.name for p in parameters if "bf16" in p.values}
    found = {
        "all int8": dict(default),
        "all fp32": quantizer.uniform("fp32"),
        "all bf16": quantizer.uniform("bf16", "fp32"),
    }
    depthwise = {p.name for p in parameters if "depthwise" in p.name.lower()} & can_bf16
    if depthwise:
        found["depthwise bf16, the rest int8"] = {
            name: "bf16" if name in depthwise else label for name, label in default.items()
        }
    rng = np.random.default_rng(0)
    found["mixed"] = {
        name: "bf16" if name in can_bf16 and rng.random() < _BF16_SHARE else label
        for name, label in default.items()
    }
    for seed in range(count):
        found[f"random {seed}"] = quantizer.random(np.random.default_rng(seed))
    return found


def _variants(graph_def: Any, outputs: Sequence[str]) -> dict[str, Any]:
    """The graph as it is, finished, and finished without one thing each that changes it."""
    found = {_INC: graph_def, _ALL: _finished(graph_def, outputs, frozenset())}
    names = [rewrite.__name__ for rewrite in REWRITES]
    for left_out in dict.fromkeys(_TOGETHER.get(name, name) for name in names):
        without = frozenset(name for name in names if _TOGETHER.get(name, name) == left_out)
        made = _finished(graph_def, outputs, without)
        if made != found[_ALL]:
            found[f"without {left_out}"] = made
    return found


def _finished(graph_def: Any, outputs: Sequence[str], without: frozenset[str]) -> Any:
    graph = EditableGraph(graph_def, outputs)
    for rewrite in REWRITES:
        if rewrite.__name__ not in without:
            rewrite(graph)
    return graph.graph_def()


def _timed(
    variants: Mapping[str, Any], case: CalibrationCase, images: Any, rounds: int
) -> dict[str, Any]:
    """CPU milliseconds of each variant in each round."""
    with ExitStack() as stack:
        calls = {name: _callable(graph, case, stack) for name, graph in variants.items()}
        for call in calls.values():
            for _ in range(_WARMUP):
                call(images)
        found: dict[str, list[float]] = {name: [] for name in calls}
        rng = np.random.default_rng(0)
        for _ in range(rounds):
            for name in rng.permutation(list(calls)):
                begun = time.process_time()
                calls[name](images)
                found[name].append(1e3 * (time.process_time() - begun))
    return {name: np.array(times) for name, times in found.items()}


def _callable(graph_def: Any, case: CalibrationCase, stack: ExitStack) -> Callable[[Any], Any]:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    options = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )
    session = stack.enter_context(tf.compat.v1.Session(graph=graph, config=options))
    output, given = (
        graph.get_tensor_by_name(f"{name}:0") for name in (case.outputs[0], case.inputs[0])
    )
    made: Callable[[Any], Any] = session.make_callable(output, feed_list=[given])
    return made


if __name__ == "__main__":
    main()
