"""Top-1 accuracy of a model in either framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.config.run_config import SessionConfig
from nc_sigopt_benchmarks.datasets import ImageSet
from nc_sigopt_strategy.hosts.predictor import predictor

Scores = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


class TopOneAccuracy:
    """Share of images whose highest output is their label.

    A callable object and not a function: Neural Compressor 3.7 reads the source of plain functions
    for words that it finds suspicious.

    Args:
        data: Images and labels.
        input_name: Name of the input op.
        output_name: Name of the op that gives a score per class, shape (batch, classes).
        batch_size: Images per run of the model.
        session: Options of ONNX Runtime's sessions.
    """

    def __init__(
        self,
        data: ImageSet,
        input_name: str,
        output_name: str,
        batch_size: int,
        session: SessionConfig | None = None,
    ) -> None:
        self._data = data
        self._feed = f"{input_name}:0"
        self._fetch = f"{output_name}:0"
        self._batch_size = batch_size
        self._session = session or SessionConfig()

    def __call__(self, model: Any) -> float:
        """Top-1 accuracy, 0 to 1, of a ``tf.Graph``, a ``ModelProto`` or a runtime's own model."""
        right = 0
        with self._opened(model) as scores:
            for start in range(0, len(self._data), self._batch_size):
                part = slice(start, start + self._batch_size)
                guesses = scores(self._data.images[part]).argmax(axis=1)
                right += int((guesses == self._data.labels[part]).sum())
        return right / len(self._data)

    @contextmanager
    def _opened(self, model: Any) -> Iterator[Scores]:
        if hasattr(model, "as_graph_def"):
            import tensorflow as tf

            # The session holds the graph's kernels and weights: close it, or each trial adds one.
            with tf.compat.v1.Session(graph=model) as graph_session:
                yield lambda images: graph_session.run(self._fetch, {self._feed: images})
            return
        if not hasattr(model, "SerializeToString"):
            run = predictor(model)
            yield lambda images: run(images)[0]
            return
        from nc_sigopt_strategy.backends.onnxruntime import open_onnx_model, session_options

        options = session_options(self._session.as_mapping())
        session = open_onnx_model(model.SerializeToString(), options)
        try:
            yield lambda images: session.run(images)[0]
        finally:
            session.close()
