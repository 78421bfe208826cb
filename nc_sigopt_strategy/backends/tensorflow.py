"""TensorFlow models: frozen graphs, and what INC wraps as one."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from nc_sigopt_strategy.backends.backend import Array, feed_by_position
from nc_sigopt_strategy.backends.op_graph import Shape, reduce_to_ops
from nc_sigopt_strategy.backends.op_times import OpTimes, repetitions
from nc_sigopt_strategy.backends.tensorflow_graph import graph_nodes, static_shapes
from nc_sigopt_strategy.backends.tensorflow_inputs import tensorflow_inputs
from nc_sigopt_strategy.backends.tensorflow_profile import op_times
from nc_sigopt_strategy.backends.tensorflow_reads import node_of
from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.files import write_whole

logger = logging.getLogger("nc_sigopt_strategy")

_V1 = tf.compat.v1


class TensorFlowSession:
    """A graph in a session of its own; tensor names may come without their ``:0``.

    Attributes:
        inputs: What it takes, as far as the graph says.
    """

    def __init__(self, graph_def: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(graph_def, name="")
        self.inputs = tensorflow_inputs(graph_def, inputs)
        self._inputs = _tensors(inputs)
        self._outputs = _tensors(outputs)
        self._session = _V1.Session(graph=graph)
        self._feeds = [graph.get_tensor_by_name(name) for name in self._inputs]
        self._fetches = [graph.get_tensor_by_name(name) for name in self._outputs]
        # One prepared call costs less per run than Session.run, which parses its feeds each time.
        self._call = self._session.make_callable(self._fetches, feed_list=self._feeds)

    def run(self, inputs: Any) -> list[Array]:
        """See ``ModelSession``."""
        feed = feed_by_position(self._inputs, inputs)
        return list(self._call(*(feed[name] for name in self._inputs)))

    def profiled(self, inputs: Any) -> list[Any]:
        """Run some times with the tracer, and give the ``StepStats`` of each run but the first.

        Args:
            inputs: As for ``run``.
        """
        feed = feed_by_position(self._inputs, inputs)
        feeds = dict(zip(self._feeds, (feed[name] for name in self._inputs), strict=True))
        # More than this starts a profiler of the hardware, which prints lines for each run.
        options = _V1.RunOptions(trace_level=_V1.RunOptions.SOFTWARE_TRACE)
        found = []
        # The first run pays for memory and for optimizing the graph.
        self._session.run(self._fetches, feeds, options=options, run_metadata=_V1.RunMetadata())
        for _ in repetitions():
            metadata = _V1.RunMetadata()
            self._session.run(self._fetches, feeds, options=options, run_metadata=metadata)
            found.append(metadata.step_stats)
        return found

    def close(self) -> None:
        """See ``ModelSession``."""
        self._session.close()
        del self._call, self._session, self._feeds, self._fetches


class TensorFlowBackend:
    """INC's TensorFlow models; see ``Backend`` for the contract."""

    name = "tensorflow"
    model_suffix = ".pb"
    native_float = "fp32"

    def open(self, model: Any) -> TensorFlowSession:
        """See ``Backend``."""
        return TensorFlowSession(
            model.graph_def, model.input_tensor_names, model.output_tensor_names
        )

    def release(self, model: Any) -> None:
        # INC rebuilds a session from `_model` on demand; checked in INC 2.6 and 3.7.1,
        # model/tensorflow_model.py. Models whose graph lives only in the session keep it.
        """See ``Backend``."""
        session = getattr(model, "_sess", None)
        if session is None or model.model_type not in ("graph_def", "graph", "frozen_pb"):
            return
        model._model = session.graph.as_graph_def()
        model.model_type = "graph_def"
        session.close()
        model._sess = None

    def fingerprint(self, model: Any) -> str:
        """See ``Backend``."""
        graph_def = model.graph_def
        digest = hashlib.sha256()
        for node in sorted(graph_def.node, key=lambda node: node.name):
            digest.update(node.SerializeToString(deterministic=True))
        return digest.hexdigest()

    def graph_order(self, model: Any) -> Mapping[str, int]:
        """See ``Backend``."""
        nodes = {node.name: node for node in model.graph_def.node}
        order: dict[str, int] = {}
        # A while loop is a cycle: a node is entered once, whether or not its inputs are done.
        entered: set[str] = set()
        for start in nodes:
            # Iterative depth-first search: real graphs are deeper than Python's recursion limit.
            stack = [(start, False)]
            while stack:
                name, inputs_done = stack.pop()
                if inputs_done:
                    order[name] = len(order)
                elif name in nodes and name not in entered:
                    entered.add(name)
                    stack.append((name, True))
                    sources = (node_of(source) for source in nodes[name].input)
                    stack.extend((source, False) for source in sources)
        return order

    def op_graph(self, model: Any, ops: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """See ``Backend``."""
        graph_def = model.graph_def
        shapes: dict[str, Shape] = {}
        try:
            shapes = static_shapes(graph_def)
        except Exception as error:  # sizes only help a sampler: a run does without them
            logger.debug("No shapes for the op graph: %s", error)
        return reduce_to_ops(graph_nodes(graph_def, shapes), shapes, ops)

    def keep_choices(self, model: Any) -> int:
        """TensorFlow runs INC's ops as they stand."""
        return 0

    def ran_as(self, model: Any, ops: Sequence[str]) -> dict[str, str]:
        """TensorFlow does not tell."""
        return {}

    def op_times(self, model: Any, inputs: Any, ops: Sequence[str]) -> OpTimes | None:
        """See ``Backend``; by TensorFlow's step stats."""
        session = self.open(model)
        try:
            return op_times(session.profiled(inputs), model.graph_def, ops)
        finally:
            session.close()

    def deployment(self, model: Any) -> dict[str, Any]:
        """A session of TensorFlow's defaults."""
        return {}

    def save(self, model: Any, path: Path) -> Path:
        """See ``Backend``."""
        return write_whole(
            path.with_suffix(self.model_suffix), model.graph_def.SerializeToString()
        )


def open_frozen_graph(
    path: Path, inputs: Sequence[str], outputs: Sequence[str]
) -> TensorFlowSession:
    """Load a frozen ``.pb``; tensor names may come without their ``:0``.

    Raises:
        ModelError: The file is missing, is not a graph, or has no tensor of that name.
    """
    graph_def = read_graph_def(path)
    try:
        return TensorFlowSession(graph_def, inputs, outputs)
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} cannot be used as a model: {error}") from error


def read_graph_def(path: Path) -> Any:
    """Parse a frozen graph.

    Raises:
        ModelError: The file is missing or is not a serialized ``GraphDef``.
    """
    if not path.is_file():
        raise ModelError(f"There is no model file {path}.")
    graph_def = _V1.GraphDef()
    try:
        graph_def.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError has moved between its versions
        raise ModelError(f"{path} is not a frozen TensorFlow graph: {error}") from error
    if not graph_def.node:
        raise ModelError(f"{path} holds a TensorFlow graph without nodes.")
    return graph_def


def _tensors(names: Sequence[str]) -> list[str]:
    return [name if ":" in name else f"{name}:0" for name in names]
