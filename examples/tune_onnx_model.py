"""Tune an ONNX model through Neural Compressor, as a script of your own would.

    python examples/tune_onnx_model.py [--trials N]

Shows: a dataloader, an evaluation function, an accuracy bound, ``strategy="sigopt"``, and what is
there afterwards. The model is a small convolutional network for scikit-learn's handwritten digits:
random filters, and a last layer that is fitted to them. So its accuracy is a real one, and its
latency too small to say much. Takes about 10 seconds. Needs the extra ``onnxruntime``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from neural_compressor import config, quantization
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import nc_sigopt_strategy

CHANNELS = 32


class Loader:
    """What calibrates, and what latency is measured on: batches of (inputs, labels)."""

    batch_size = 20

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(self.images), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            yield self.images[chosen], self.labels[chosen]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """All images, enlarged to 24x24, and what they show."""
    images, labels = load_digits(return_X_y=True)
    small = (images / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    return np.kron(small, np.ones((3, 3), np.float32)), labels


def network(head: tuple[np.ndarray, np.ndarray] | None) -> onnx.ModelProto:
    """Three convolutions with random filters, and the last layer if there is one yet."""
    make, rng, nodes, weights = onnx.helper, np.random.default_rng(0), [], {}
    value, width = "images", 1
    for i in range(3):
        weights[f"w{i}"] = rng.normal(size=(CHANNELS, width, 3, 3)) / np.sqrt(width * 9)
        conv = make.make_node("Conv", [value, f"w{i}"], [f"c{i}"], f"conv{i}", pads=[1, 1, 1, 1])
        nodes += [conv, make.make_node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}")]
        value, width = f"r{i}", CHANNELS
    pool = {"kernel_shape": [4, 4], "strides": [4, 4]}
    nodes.append(make.make_node("AveragePool", [value], ["p"], "pool", **pool))
    nodes.append(make.make_node("Flatten", ["p"], ["features"], "flatten"))
    if head is not None:
        weights |= {"w": head[0].T, "b": head[1]}
        nodes.append(make.make_node("Gemm", ["features", "w", "b"], ["logits"], "last"))
    float32 = onnx.TensorProto.FLOAT
    shape, output = ["batch", 1, 24, 24], "features" if head is None else "logits"
    graph = make.make_graph(
        nodes,
        "digits",
        [make.make_tensor_value_info("images", float32, shape)],
        [make.make_tensor_value_info(output, float32, ["batch", None])],
        [onnx.numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)


def answers(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """What a model says of images."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found: np.ndarray = session.run(None, {"images": images})[0]
    return found


def main(trials: int) -> None:
    """Build the model, tune it, say what came out."""
    images, labels = digits()
    fitted = LogisticRegression(max_iter=300).fit(
        answers(network(None), images[:1000]), labels[:1000]
    )
    model = network((fitted.coef_, fitted.intercept_))
    test_images, test_labels = images[1000:], labels[1000:]

    def accuracy(candidate: onnx.ModelProto) -> float:
        right = answers(candidate, test_images).argmax(axis=1) == test_labels
        return float(right.mean())

    with tempfile.TemporaryDirectory() as folder:
        config.options.workspace = folder
        path = Path(folder) / "digits.onnx"
        onnx.save(model, str(path))
        conf = config.PostTrainingQuantConfig(
            calibration_sampling_size=[100],
            accuracy_criterion=config.AccuracyCriterion(tolerable_loss=0.01),
            tuning_criterion=config.TuningCriterion(
                strategy="sigopt",
                max_trials=trials,
                timeout=0,
                strategy_kwargs={
                    "output_dir": f"{folder}/run",
                    "storage": f"sqlite:///{folder}/experiments.sqlite3",
                },
            ),
        )
        loader = Loader(images[:100], labels[:100])
        tuned = quantization.fit(str(path), conf, calib_dataloader=loader, eval_func=accuracy)
        outcome = nc_sigopt_strategy.last_outcome()
        written = sorted(file.name for file in (Path(folder) / "run").iterdir())

    if tuned is None or outcome is None or outcome.best is None:
        raise SystemExit("No model met the bound.")
    print(f"FP32 accuracy {outcome.baseline_accuracy:.4f}, bound {outcome.accuracy_target:.4f}")
    print(f"Best of {outcome.trials} trials: accuracy {outcome.best.accuracy:.4f}")
    print(f"Speed-up over FP32: {outcome.fp32_latency_seconds / outcome.best.latency_seconds:.2f}")
    print(f"In the run folder: {', '.join(written)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune an ONNX model through Neural Compressor.")
    parser.add_argument("--trials", type=int, default=8, help="how many configurations to try")
    main(parser.parse_args().trials)
