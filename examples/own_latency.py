"""Measure latency your own way, and get a front instead of one model.

    python examples/own_latency.py [--trials N]

Shows: ``latency_func``, which takes the place of our timing (here one image at a time on one
thread, where the default is a whole calibration batch), and ``goal="pareto"``: no bound, but all
models that no other beats in accuracy and latency at once. The network has random weights, so
"right" is what its FP32 model says. Takes about 10 seconds. Needs the extra ``onnxruntime``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from neural_compressor import config, quantization

import nc_sigopt_strategy

RNG = np.random.default_rng(1)
# Each of a colour of its own, with noise on it.
IMAGES = RNG.normal(size=(256, 3, 1, 1)) + RNG.normal(size=(256, 3, 24, 24))
IMAGES = IMAGES.astype(np.float32)
CLASSES = 16


class Loader:
    """Batches of (inputs, labels) that calibrate; nobody asks for the labels."""

    batch_size = 16

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, 64, self.batch_size):
            yield IMAGES[start : start + self.batch_size], np.zeros(self.batch_size)


def network() -> onnx.ModelProto:
    """Four convolutions with random filters."""
    make, rng = onnx.helper, np.random.default_rng(0)
    nodes, weights, value, width = [], [], "images", 3
    for i in range(4):
        values = rng.normal(size=(CLASSES, width, 3, 3)) / np.sqrt(width * 9)
        weights.append(onnx.numpy_helper.from_array(values.astype(np.float32), f"w{i}"))
        conv = make.make_node("Conv", [value, f"w{i}"], [f"c{i}"], f"conv{i}", pads=[1, 1, 1, 1])
        nodes += [conv, make.make_node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}")]
        value, width = f"r{i}", CLASSES
    nodes.append(make.make_node("GlobalAveragePool", [value], ["pooled"], "pool"))
    nodes.append(make.make_node("Flatten", ["pooled"], ["classes"], "flatten"))
    float32 = onnx.TensorProto.FLOAT
    graph = make.make_graph(
        nodes,
        "random",
        [make.make_tensor_value_info("images", float32, ["batch", 3, 24, 24])],
        [make.make_tensor_value_info("classes", float32, ["batch", CLASSES])],
        weights,
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)


def answers(model: onnx.ModelProto) -> np.ndarray:
    """The class that a model gives each image."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.asarray(session.run(None, {"images": IMAGES})[0].argmax(axis=1))


def seconds_per_image(model: onnx.ModelProto) -> float:
    """Median time of one image on one thread. Gets what an ``eval_func`` gets."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    taken = []
    for image in IMAGES[:100]:
        begun = time.perf_counter()
        session.run(None, {"images": image[None]})
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def main(trials: int) -> None:
    """Tune, and print the front."""
    model = network()
    right = answers(model)
    with tempfile.TemporaryDirectory() as folder:
        config.options.workspace = folder
        path = Path(folder) / "random.onnx"
        onnx.save(model, str(path))
        conf = config.PostTrainingQuantConfig(
            calibration_sampling_size=[64],
            tuning_criterion=config.TuningCriterion(
                strategy="sigopt",
                max_trials=trials,
                timeout=0,
                strategy_kwargs={
                    "goal": "pareto",
                    "latency_func": seconds_per_image,
                    "output_dir": f"{folder}/run",
                    "storage": f"sqlite:///{folder}/experiments.sqlite3",
                },
            ),
        )
        quantization.fit(
            str(path),
            conf,
            calib_dataloader=Loader(),
            eval_func=lambda candidate: float((answers(candidate) == right).mean()),
        )
        outcome = nc_sigopt_strategy.last_outcome()

    if outcome is None or not outcome.front:
        raise SystemExit("There is no front: every trial failed.")
    print(f"FP32: {1000 * seconds_per_image(model):.3f} ms; the front of {outcome.trials} trials:")
    for trial in outcome.front:
        print(f"  {1000 * trial.latency_seconds:.3f} ms, accuracy {trial.accuracy:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A latency function of your own, and a front.")
    parser.add_argument("--trials", type=int, default=12, help="how many configurations to try")
    main(parser.parse_args().trials)
