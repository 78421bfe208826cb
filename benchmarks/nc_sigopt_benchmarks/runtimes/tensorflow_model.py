"""A frozen graph in TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_strategy.backends.backend import feed_by_position
from nc_sigopt_strategy.backends.tensorflow import read_graph_def

_V1 = tf.compat.v1
# RewriterConfig.Toggle; the enum itself moves between TensorFlow's private modules.
_ON = 1


class OpenedTensorFlow:
    """See ``Opened``."""

    def __init__(self, deployed: Deployed) -> None:
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(read_graph_def(deployed.path), name="")
        self.native = graph
        self.version = tf.__version__
        self.precision = "bf16" if deployed.options.get("bf16") else ""
        self._inputs = [_tensor(name) for name in deployed.inputs]
        fetches = [graph.get_tensor_by_name(_tensor(name)) for name in deployed.outputs]
        feeds = [graph.get_tensor_by_name(name) for name in self._inputs]
        self._session = _V1.Session(graph=graph, config=session_config(deployed))
        self._call = self._session.make_callable(fetches, feed_list=feeds)

    def run(self, batch: Any) -> list[Any]:
        """See ``Opened``."""
        feed = feed_by_position(self._inputs, batch)
        return list(self._call(*(feed[name] for name in self._inputs)))


def session_config(deployed: Deployed) -> Any:
    """TensorFlow's ``ConfigProto`` of a deployment.

    ``bf16`` is Grappler's rewrite for oneDNN: it turns what it holds for safe into bfloat16, in
    the session and not in a file, since it does so after the graph is placed on a device.
    https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/grappler/optimizers/auto_mixed_precision.h
    """
    config = _V1.ConfigProto(
        intra_op_parallelism_threads=deployed.threads,
        inter_op_parallelism_threads=deployed.threads,
    )
    if deployed.options.get("bf16"):
        rewrites = config.graph_options.rewrite_options
        rewrites.auto_mixed_precision_onednn_bfloat16 = _ON
    return config


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"
