"""Continue an experiment, and work on it with several processes at once.

    python examples/continue_and_join.py [--trials N]

Shows: an experiment that one process begins in a store and ends after a few trials; two more that
find it by its id, go on where it was, share the rest of the budget and end with the trials of all
three. They meet in a SQLite file here; with a PostgreSQL URL in ``storage`` they could be on
several machines. This script starts itself as a worker. Takes about 30 seconds. Needs the extra
``onnxruntime``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FIRST_TRIALS = 3
WORKERS = ("amber", "basil")


def write_model(path: Path) -> None:
    """A network with random weights, of as many convolutions as make a search worth while."""
    import onnx

    make, rng = onnx.helper, np.random.default_rng(0)
    nodes, weights, value, width = [], [], "images", 3
    for i in range(5):
        values = rng.normal(size=(8, width, 3, 3)) / np.sqrt(width * 9)
        weights.append(onnx.numpy_helper.from_array(values.astype(np.float32), f"w{i}"))
        conv = make.make_node("Conv", [value, f"w{i}"], [f"c{i}"], f"conv{i}", pads=[1, 1, 1, 1])
        nodes += [conv, make.make_node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}")]
        value, width = f"r{i}", 8
    nodes.append(make.make_node("GlobalAveragePool", [value], ["pooled"], "pool"))
    nodes.append(make.make_node("Flatten", ["pooled"], ["classes"], "flatten"))
    float32 = onnx.TensorProto.FLOAT
    graph = make.make_graph(
        nodes,
        "random",
        [make.make_tensor_value_info("images", float32, ["batch", 3, 16, 16])],
        [make.make_tensor_value_info("classes", float32, ["batch", 8])],
        weights,
    )
    opset = make.make_opsetid("", 13)
    onnx.save(make.make_model(graph, opset_imports=[opset], ir_version=8), str(path))


class Loader:
    """Batches of (inputs, labels); nobody asks for the labels."""

    batch_size = 16

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(self.images), self.batch_size):
            batch = self.images[start : start + self.batch_size]
            yield batch, np.zeros(len(batch))


def work(folder: Path, name: str, experiment: str | None, trials: int) -> None:
    """One worker: tunes the model of the folder until the experiment has so many trials.

    Args:
        folder: Holds the model and the store.
        name: The worker's own.
        experiment: Id of the experiment; ``None`` begins one.
        trials: Budget of the whole experiment, not of this worker.
    """
    import onnxruntime
    from neural_compressor import config, quantization

    import nc_sigopt_strategy  # noqa: F401  (registers the strategy)

    rng = np.random.default_rng(1)
    # Each of a colour of its own, with noise on it.
    images = rng.normal(size=(64, 3, 1, 1)) + rng.normal(size=(64, 3, 16, 16))
    images = images.astype(np.float32)
    model = folder / "model.onnx"

    def answers(content: bytes) -> np.ndarray:
        logits = onnxruntime.InferenceSession(content).run(None, {"images": images})[0]
        return np.asarray(logits.argmax(axis=1))

    # The weights are random, so "right" is what the FP32 model says.
    right = answers(model.read_bytes())
    config.options.workspace = str(folder / name)
    conf = config.PostTrainingQuantConfig(
        calibration_sampling_size=[32],
        accuracy_criterion=config.AccuracyCriterion(tolerable_loss=0.1),
        tuning_criterion=config.TuningCriterion(
            strategy="sigopt",
            max_trials=trials,
            timeout=0,
            strategy_kwargs={
                "storage": f"sqlite:///{folder / 'experiments.sqlite3'}",
                "sigopt_experiment_id": experiment,
                "parallel_bandwidth": len(WORKERS),
                "worker": name,
                "output_dir": str(folder / name / "run"),
                "progress": False,
            },
        ),
    )
    quantization.fit(
        str(model),
        conf,
        calib_dataloader=Loader(images),
        eval_func=lambda candidate: float(
            (answers(candidate.SerializeToString()) == right).mean()
        ),
    )


def start(folder: Path, name: str, experiment: str | None, trials: int) -> subprocess.Popen[bytes]:
    """This script again, as a worker in a process of its own; what it says goes into a log."""
    command = [sys.executable, __file__, "--trials", str(trials), "--worker", str(folder), name]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen([*command, *filter(None, [experiment])], stdout=log, stderr=log)


def main(trials: int) -> None:
    """Begin an experiment, join it twice, say who did what."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_model(folder / "model.onnx")
        if start(folder, "first", None, FIRST_TRIALS).wait():
            raise SystemExit((folder / "first.log").read_text())
        # The id is in the log, too, and `nc-sigopt experiments list --storage URL` shows it.
        told = json.loads((folder / "first" / "run" / "experiment.json").read_text())
        experiment = str(told["experiment_id"])
        print(
            f"Experiment {experiment} has {FIRST_TRIALS} trials; {' and '.join(WORKERS)} join it."
        )

        workers = [start(folder, name, experiment, trials) for name in WORKERS]
        for name, worker in zip(WORKERS, workers, strict=True):
            if worker.wait():
                raise SystemExit((folder / f"{name}.log").read_text())
        outcomes = [
            json.loads((folder / name / "run" / "outcome.json").read_text()) for name in WORKERS
        ]

    by_worker = Counter(outcomes[0]["trials_by_worker"])
    shares = ", ".join(f"{name} {count}" for name, count in sorted(by_worker.items()))
    print(f"The experiment has {outcomes[0]['trials']} trials: {shares}.")
    for name, outcome in zip(WORKERS, outcomes, strict=True):
        best = outcome["best"]
        if best is None:
            raise SystemExit("No model met the bound.")
        print(f"{name}'s best is trial {best['number']}, accuracy {best['accuracy']:.3f}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Continue an experiment with two more workers.")
    parser.add_argument("--trials", type=int, default=12, help="budget of the experiment")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        where, who, *known = given.worker
        work(Path(where), who, known[0] if known else None, given.trials)
    else:
        main(given.trials)
