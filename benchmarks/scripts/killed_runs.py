"""Kill a real ``fit`` at random moments, and look at what is left.

    python benchmarks/scripts/killed_runs.py [KILLS] [SEED]

A process that has imported Neural Compressor forks one worker after the other; each continues
the experiment with ``fit`` on a small ONNX model and is killed (``kill -9``) at a random moment
between its start and its end. After each kill it is checked that

- every trial that the worker was told to be stored is in the store, with the same accuracy;
- no more than one suggestion is open;
- the best model on disk, if there is one, loads and runs.

An experiment whose budget is used is checked for exactly that, and another one begins. Ends with
exit code 1 if anything was lost, exceeded or broken. About 4 s a kill.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from neural_compressor import config, quantization

import nc_sigopt_strategy
from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.experiments.opening import join_on, list_experiments
from nc_sigopt_strategy.results.run_files import read_trials
from nc_sigopt_strategy.winners.kept_models import BEST_MODEL

KILLS, MAX_TRIALS = 100, 12
_IMAGES, _SIDE, _CLASSES, _LAYERS = 64, 12, 10, 5
# Longer than any worker takes that is not killed.
_LATEST_SECONDS = 300.0


class Images:
    """A loader of made-up images, as Neural Compressor takes them."""

    batch_size = 16

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.inputs = rng.normal(size=(_IMAGES, 3, _SIDE, _SIDE)).astype(np.float32)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for start in range(0, _IMAGES, self.batch_size):
            yield self.inputs[start : start + self.batch_size], np.zeros(self.batch_size)


def write_model(path: Path) -> None:
    """A chain of convolutions with random weights."""
    rng, helper = np.random.default_rng(1), onnx.helper
    nodes, weights, last, channels = [], [], "input", 3
    for layer in range(_LAYERS):
        width = _CLASSES if layer == _LAYERS - 1 else 8
        values = rng.normal(size=(width, channels, 3, 3)).astype(np.float32) / channels
        weights.append(onnx.numpy_helper.from_array(values, f"w{layer}"))
        nodes.append(
            helper.make_node("Conv", [last, f"w{layer}"], [f"c{layer}"], f"conv{layer}",
                             pads=[1, 1, 1, 1])
        )  # fmt: skip
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"], f"relu{layer}"))
        last, channels = f"r{layer}", width
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["logits"], "flatten"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "chain",
        [value("input", onnx.TensorProto.FLOAT, ["batch", 3, _SIDE, _SIDE])],
        [value("logits", onnx.TensorProto.FLOAT, ["batch", _CLASSES])],
        weights,
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path
    )


class Confirmed(logging.Handler):
    """Notes each trial that the run says is stored, past all buffers.

    Args:
        path: Gets a line of JSON per trial.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``; lines that tell of no trial are passed over."""
        if str(record.msg).startswith("%s Best so far"):
            os.write(self._descriptor, (json.dumps(str(record.args[0])) + "\n").encode())  # type: ignore[index]


def work(folder: Path, experiment_id: str | None) -> None:
    """One worker: ``fit`` as a user's script calls it, on the experiment that there is."""
    logger = logging.getLogger("nc_sigopt_strategy")
    logger.addHandler(Confirmed(folder / "confirmed.jsonl"))
    images = Images()
    reference = logits(folder / "model.onnx", images).argmax(1)

    def evaluate(model: Any) -> float:
        session = onnxruntime.InferenceSession(model.SerializeToString())
        found = session.run(None, {"input": images.inputs})[0]
        return float((found.argmax(1) == reference).mean())

    kwargs: dict[str, Any] = {
        "output_dir": str(folder / "run"),
        "storage": f"sqlite:///{folder / 'store.sqlite3'}",
        "progress": False,
        "patience": 0,
    }
    if experiment_id is not None:
        kwargs["sigopt_experiment_id"] = experiment_id
    config.options.workspace = str(folder / "workspace")
    quantization.fit(
        str(folder / "model.onnx"),
        config.PostTrainingQuantConfig(
            calibration_sampling_size=[32],
            accuracy_criterion=config.AccuracyCriterion(tolerable_loss=0.3),
            tuning_criterion=config.TuningCriterion(
                strategy="sigopt", strategy_kwargs=kwargs, max_trials=MAX_TRIALS
            ),
        ),
        calib_dataloader=images,
        eval_func=evaluate,
    )


def logits(path: Path, images: Images) -> Any:
    """What a model on disk answers."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": images.inputs})[0]


def forked(folder: Path, experiment_id: str | None) -> int:
    """Start a worker; returns its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        work(folder, experiment_id)
        code = 0
    finally:
        os._exit(code)


def ended(child: int, within: float) -> bool:
    """Whether a worker ends by itself within some seconds; otherwise it is killed."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f"A worker ended by itself, with status {status}.")
            return True
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def inspected(folder: Path, images: Images, problems: list[str]) -> tuple[str | None, int]:
    """Check what a worker left; the experiment's id, if it was made, and its observations."""
    connection = open_embedded(f"sqlite:///{folder / 'store.sqlite3'}")
    known = [str(document.id) for document in list_experiments(connection)]
    lines = (folder / "confirmed.jsonl").read_text().splitlines() if known else []
    stored: Counter[str] = Counter()
    observed = 0
    if len(known) > 1:
        problems.append(f"{folder}: {len(known)} experiments instead of one.")
    if known:
        experiment = join_on(connection, known[0])
        trials = [record for record, _ in experiment.trials()]
        observed = len(trials)
        stored = Counter(record.in_words() for record in trials)
        waiting = len(experiment.open_suggestions())
        if waiting > 1:
            problems.append(f"{folder}: {waiting} suggestions are open.")
    lost = [line for line in map(json.loads, lines) if not stored[line]]
    problems.extend(f"{folder}: lost: {line}" for line in lost)
    connection.impl.driver.close()
    best = folder / "run" / f"{BEST_MODEL}.onnx"
    if best.exists() and not np.isfinite(logits(best, images)).all():
        problems.append(f"{folder}: the best model answers nonsense.")
    return (known[0] if known else None), observed


def main(kills: int, seed: int) -> int:
    """Kill that many workers; returns the exit code."""
    rng, images = random.Random(seed), Images()
    problems: list[str] = []
    killed = finished = confirmed = with_model = 0
    usual = 10.0
    with tempfile.TemporaryDirectory(prefix="killed-runs-") as top:
        while killed < kills:
            folder = Path(top) / f"experiment-{finished}"
            folder.mkdir(exist_ok=True)
            if not (folder / "model.onnx").exists():
                write_model(folder / "model.onnx")
                known, experiment_id = 0, None
            begun = time.monotonic()
            # Every fourth is let run to its end, or experiments would never come to theirs.
            whole = rng.random() < 0.25
            if not ended(forked(folder, experiment_id), _LATEST_SECONDS if whole else
                         rng.uniform(0.0, usual)):  # fmt: skip
                killed += 1
                over = False
            else:
                usual, over = max(2.0, time.monotonic() - begun), True
            experiment_id, observed = inspected(folder, images, problems)
            if observed < known or observed > MAX_TRIALS:
                problems.append(f"{folder}: {observed} observations after {known}.")
            known = observed
            with_model += (folder / "run" / f"{BEST_MODEL}.onnx").exists()
            print(f"{killed} killed, {finished} experiments ended, {observed} trials here, "
                  f"{len(problems)} problems", flush=True)  # fmt: skip
            if over:
                finished += 1
                confirmed += observed
                numbers = [trial.number for trial in read_trials(folder / "run")]
                if observed != MAX_TRIALS or numbers != list(range(1, MAX_TRIALS + 1)):
                    problems.append(f"{folder}: ended with trials {numbers}.")
    print(f"nc_sigopt_strategy {nc_sigopt_strategy.__version__}: {killed} workers killed, "
          f"{finished} experiments of {MAX_TRIALS} trials ended, {confirmed} observations; the "
          f"best model on disk was loaded {with_model} times.")  # fmt: skip
    print(f"{len(problems)} problems", *problems, sep="\n- ")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*(int(a) for a in (*sys.argv[1:], *(KILLS, 0)[len(sys.argv) - 1 :]))))
