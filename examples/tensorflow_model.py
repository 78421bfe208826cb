"""Tune a frozen TensorFlow graph through Neural Compressor.

    python examples/tensorflow_model.py [--trials N]

Shows: a graph whose inputs and outputs are named, ops that are locked to a type, and a metric of
your own that is kept with each trial (``stored_metrics_func``). The network is a small one for
scikit-learn's handwritten digits: random filters, and a last layer that is fitted to them. So its
accuracy is a real one, and its latency too small to say much. Takes about 15 seconds. Needs the
extra ``tensorflow``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from neural_compressor import config, quantization
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import nc_sigopt_strategy

CHANNELS = 32
tf1 = tf.compat.v1


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
    small = (images / 16).reshape(-1, 8, 8, 1).astype(np.float32)
    return np.kron(small, np.ones((1, 3, 3, 1), np.float32)), labels


def network(head: tuple[np.ndarray, np.ndarray] | None) -> tf.Graph:
    """Three convolutions with random filters, and the last layer if there is one yet."""
    rng, graph = np.random.default_rng(0), tf.Graph()

    def constant(values: np.ndarray) -> tf.Tensor:
        return tf1.constant(values.astype(np.float32))

    with graph.as_default():
        value, width = tf1.placeholder(tf.float32, [None, 24, 24, 1], name="images"), 1
        for i in range(3):
            filters = rng.normal(size=(3, 3, width, CHANNELS)) / np.sqrt(width * 9)
            value = tf1.nn.conv2d(value, constant(filters), 1, "SAME", name=f"conv{i}")
            value = tf1.nn.bias_add(value, constant(np.zeros(CHANNELS)), name=f"bias{i}")
            value, width = tf1.nn.relu(value, name=f"relu{i}"), CHANNELS
        pooled = tf1.nn.avg_pool2d(value, 4, 4, "VALID", name="pool")
        features = tf1.reshape(pooled, [-1, 6 * 6 * CHANNELS], name="features")
        if head is not None:
            product = tf1.matmul(features, constant(head[0].T), name="last")
            tf1.nn.bias_add(product, constant(head[1]), name="logits")
    return graph


def answers(graph: tf.Graph, images: np.ndarray, output: str) -> np.ndarray:
    """What a model says of images."""
    with tf1.Session(graph=graph) as session:
        found: np.ndarray = session.run(f"{output}:0", {"images:0": images})
    return found


def main(trials: int) -> None:
    """Build the model, tune it, say what came out."""
    images, labels = digits()
    features = answers(network(None), images[:1000], "features")
    fitted = LogisticRegression(max_iter=300).fit(features, labels[:1000])
    model = network((fitted.coef_, fitted.intercept_))
    test_images, test_labels = images[1000:], labels[1000:]

    def accuracy(graph: tf.Graph) -> float:
        right = answers(graph, test_images, "logits").argmax(axis=1) == test_labels
        return float(right.mean())

    def sizes(graph: tf.Graph) -> dict[str, float]:
        return {"graph_kib": graph.as_graph_def().ByteSize() / 1024}

    with tempfile.TemporaryDirectory() as folder:
        config.options.workspace = folder
        path = Path(folder) / "digits.pb"
        path.write_bytes(model.as_graph_def().SerializeToString())
        conf = config.PostTrainingQuantConfig(
            inputs=["images"],
            outputs=["logits"],
            calibration_sampling_size=[100],
            accuracy_criterion=config.AccuracyCriterion(tolerable_loss=0.01),
            tuning_criterion=config.TuningCriterion(
                strategy="sigopt",
                max_trials=trials,
                timeout=0,
                strategy_kwargs={
                    "locked_ops": {"conv0": "fp32"},
                    "stored_metrics_func": sizes,
                    "output_dir": f"{folder}/run",
                    "storage": f"sqlite:///{folder}/experiments.sqlite3",
                },
            ),
        )
        loader = Loader(images[:100], labels[:100])
        tuned = quantization.fit(str(path), conf, calib_dataloader=loader, eval_func=accuracy)
        outcome = nc_sigopt_strategy.last_outcome()

    if tuned is None or outcome is None or outcome.best is None:
        raise SystemExit("No model met the bound.")
    best = outcome.best
    print(f"FP32 accuracy {outcome.baseline_accuracy:.4f}, bound {outcome.accuracy_target:.4f}")
    print(f"Best of {outcome.trials} trials: accuracy {best.accuracy:.4f}, {best.assignments}")
    print(f"Its graph has {best.stored_metrics['graph_kib']:.0f} KiB.")
    print(f"Speed-up over FP32: {outcome.fp32_latency_seconds / best.latency_seconds:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune a frozen TensorFlow graph.")
    parser.add_argument("--trials", type=int, default=10, help="how many configurations to try")
    main(parser.parse_args().trials)
