"""What several kinds of tests share: a small real model and data for it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Each test runs in a folder of its own, where a relative path leads nowhere.
if os.environ.get("NC_SIGOPT_ASSETS"):
    os.environ["NC_SIGOPT_ASSETS"] = str(Path(os.environ["NC_SIGOPT_ASSETS"]).resolve())
# Before TensorFlow is imported; see nc_sigopt_strategy/__init__.py.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# PostgreSQL for whoever asks for ``postgresql_url``; the harness knows how to start one.
if importlib.util.find_spec("nc_sigopt_benchmarks"):
    pytest_plugins = ["tests.support.postgresql"]

CLASSES = 4
INPUT_NAME = "input"
OUTPUT_NAME = "logits"


def pytest_configure(config: pytest.Config) -> None:
    """Import INC while standard error is the real one, and let Ctrl-C be tested anywhere.

    INC remembers ``sys.stderr`` at import and later redirects that stream's descriptor to read
    what TensorFlow prints on descriptor 2. Under pytest's capture the two differ. And a test run
    that was started in the background inherits that SIGINT is ignored, its children too.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    capture = config.pluginmanager.getplugin("capturemanager")
    # An environment of the other hosts has none.
    with capture.global_and_fixture_disabled(), contextlib.suppress(ModuleNotFoundError):
        import neural_compressor  # noqa: F401


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token, server or store of the machine reaches a test, and no test leaves files behind."""
    named = ("SIGOPT_API_TOKEN", "SIGOPT_API_URL", "SIGOPT_PROJECT", "NC_SIGOPT_STORAGE")
    for name in named:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_slowing_down() -> Iterator[None]:
    """The client sleeps after five failures in a row, in whatever test they were."""
    from nc_sigopt_strategy.client.sigopt_client import failed_status_rate_limit

    failed_status_rate_limit.clear()
    yield
    failed_status_rate_limit.clear()


@pytest.fixture
def storage_url(tmp_path: Path) -> str:
    """A store that is not there yet."""
    return f"sqlite:///{tmp_path / 'store' / 'engine.db'}"


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged, once each.

    Some versions of pytest see the records of our logger twice when its propagation is on.
    """
    return [record.getMessage() for record in {id(r): r for r in caplog.records}.values()]


class Loader:
    """A calibration dataloader as INC's users write them."""

    def __init__(self, inputs: Any, labels: Any, batch_size: int = 8) -> None:
        self.inputs, self.labels, self.batch_size = inputs, labels, batch_size

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for start in range(0, len(self.inputs), self.batch_size):
            stop = start + self.batch_size
            yield self.inputs[start:stop], self.labels[start:stop]

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.batch_size)


@pytest.fixture
def assets() -> str:
    """The folder with ImageNet weights and images; what needs them is skipped where it is not."""
    folder = os.environ.get("NC_SIGOPT_ASSETS")
    if not folder:
        pytest.skip("NC_SIGOPT_ASSETS is not set")
    return folder


@pytest.fixture(scope="session")
def small_data() -> tuple[np.ndarray, np.ndarray]:
    """64 images of 12x12x3 in [0, 1] whose class is in their mean colour."""
    rng = np.random.default_rng(0)
    labels = np.arange(64) % CLASSES
    base = rng.normal(size=(CLASSES, 1, 1, 3))
    images = base[labels] + 0.7 * rng.normal(size=(64, 12, 12, 3))
    return images.astype(np.float32), labels


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frozen TensorFlow graph with three convolutions that INC can quantize."""
    tf = pytest.importorskip("tensorflow")

    v1 = tf.compat.v1
    rng = np.random.default_rng(1)

    def weights(*shape: int) -> Any:
        return v1.constant(rng.normal(scale=0.4, size=shape).astype(np.float32))

    graph = tf.Graph()
    with graph.as_default():
        x = v1.placeholder(tf.float32, [None, 12, 12, 3], name=INPUT_NAME)
        channels = 3
        for i, width in enumerate((8, 8, CLASSES)):
            x = v1.nn.conv2d(x, weights(3, 3, channels, width), 1, "SAME", name=f"block/conv{i}")
            x = v1.nn.bias_add(x, weights(width), name=f"block/bias{i}")
            x = v1.nn.relu(x, name=f"block/relu{i}")
            channels = width
        v1.reduce_mean(x, [1, 2], name=OUTPUT_NAME)
    path = tmp_path_factory.mktemp("model") / "small.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


@pytest.fixture(scope="session")
def small_labels(small_model: Path, small_data: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The FP32 model's own answers: its accuracy is 1, so any quantized model's is a share."""
    from nc_sigopt_strategy.backends.tensorflow import open_frozen_graph

    session = open_frozen_graph(small_model, [INPUT_NAME], [OUTPUT_NAME])
    (logits,) = session.run(small_data[0])
    session.close()
    return np.asarray(logits.argmax(axis=1))


@pytest.fixture
def small_loader(small_data: tuple[np.ndarray, np.ndarray]) -> Loader:
    return Loader(*small_data)


@pytest.fixture
def small_accuracy(small_data: tuple[np.ndarray, np.ndarray], small_labels: np.ndarray) -> Any:
    """An ``eval_func`` for the small model: share of images on which it agrees with FP32."""

    def accuracy(graph: Any) -> float:
        import tensorflow as tf

        with tf.compat.v1.Session(graph=graph) as session:
            logits = session.run(f"{OUTPUT_NAME}:0", {f"{INPUT_NAME}:0": small_data[0]})
        return float((logits.argmax(axis=1) == small_labels).mean())

    return accuracy
