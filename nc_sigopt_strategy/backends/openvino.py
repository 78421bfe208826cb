"""OpenVINO models, run on the CPU."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from nc_sigopt_strategy.backends.backend import Array, feed_by_position
from nc_sigopt_strategy.backends.op_graph import reduce_to_ops
from nc_sigopt_strategy.backends.op_times import OpNames, OpTimes, repetitions
from nc_sigopt_strategy.backends.openvino_core import DEVICE, the_core
from nc_sigopt_strategy.backends.openvino_graph import (
    graph_nodes,
    inferred_shapes,
    openvino_inputs,
)
from nc_sigopt_strategy.backends.openvino_ir import Ir
from nc_sigopt_strategy.backends.openvino_profile import executed, op_times
from nc_sigopt_strategy.backends.openvino_properties import Properties
from nc_sigopt_strategy.backends.openvino_ran_as import ran_as

logger = logging.getLogger("nc_sigopt_strategy")


@dataclass(eq=False)
class OpenVinoModel:
    """A model and how its float ops are computed; neither is changed once it is made.

    Attributes:
        model: The graph.
        precision: OpenVINO's word for the type of float ops that do not keep their own, such as
            ``bf16``.
        parts: Node to the op that it is chosen a type with; others go with the op before them.
    """

    model: ov.Model
    precision: str
    parts: Mapping[str, str] = field(default_factory=dict)
    _compiled: ov.CompiledModel | None = field(default=None, init=False, repr=False)

    @cached_property
    def ir(self) -> Ir:
        """The graph as files have it."""
        return Ir.of(self.model)

    def compiled(self, properties: Properties) -> ov.CompiledModel:
        """The model ready to run; the same one until ``release``."""
        if self._compiled is None:
            self._compiled = the_core().compile_model(
                self.model, DEVICE, properties.of(self.precision)
            )
        return self._compiled

    def release(self) -> None:
        """Give back what running it took."""
        self._compiled = None


class OpenVinoSession:
    """A compiled model with an inference request of its own.

    Args:
        compiled: What runs.

    Attributes:
        inputs: What the model takes.
    """

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._compiled: ov.CompiledModel | None = compiled
        self._request = compiled.create_infer_request()
        self.inputs = openvino_inputs(compiled)
        self._names = [known.name for known in self.inputs]

    def run(self, inputs: Any) -> list[Array]:
        """See ``ModelSession``."""
        fed = feed_by_position(self._names, inputs)
        by_position = {
            # Not ascontiguousarray, which gives a scalar an axis.
            position: np.asarray(fed[name], order="C")
            for position, name in enumerate(self._names)
        }
        # Inputs are read where they lie, as in `compiled(...)`; outputs are the caller's own.
        results = self._request.infer(by_position, share_inputs=True)
        return [np.asarray(value) for value in results.to_tuple()]

    def counted(self, inputs: Any) -> dict[str, float]:
        """Run with counters: node to seconds.

        Args:
            inputs: As for ``run``.
        """
        self.run(inputs)
        return executed(self._request.profiling_info)

    def close(self) -> None:
        """See ``ModelSession``."""
        del self._request
        self._compiled = None


class OpenVinoBackend:
    """``OpenVinoModel`` objects; see ``Backend`` for the contract.

    Args:
        properties: The setting ``openvino_properties``.

    Raises:
        SettingsError: OpenVINO has no such property, or refuses its value.
    """

    name = "openvino"
    model_suffix = ".xml"
    native_float = "bf16"

    def __init__(self, properties: Mapping[str, Any] | None = None) -> None:
        self.properties = Properties(properties)

    def open(self, model: OpenVinoModel) -> OpenVinoSession:
        """See ``Backend``."""
        return OpenVinoSession(model.compiled(self.properties))

    def release(self, model: OpenVinoModel) -> None:
        """See ``Backend``."""
        model.release()

    def fingerprint(self, model: OpenVinoModel) -> str:
        """See ``Backend``; of the graph and of how its float ops are computed."""
        return f"{model.ir.digest()}-{model.precision}"

    def graph_order(self, model: OpenVinoModel) -> Mapping[str, int]:
        """See ``Backend``."""
        ordered = model.model.get_ordered_ops()
        return {node.get_friendly_name(): position for position, node in enumerate(ordered)}

    def op_graph(self, model: OpenVinoModel, ops: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """See ``Backend``; every op by itself."""
        nodes = graph_nodes(model.model)
        return reduce_to_ops(nodes, inferred_shapes(model.model), ops)

    def keep_choices(self, model: OpenVinoModel) -> int:
        """Nothing to do: OpenVINO quantizes no op by itself."""
        return 0

    def ran_as(self, model: OpenVinoModel, ops: Sequence[str]) -> dict[str, str]:
        """See ``openvino_ran_as``."""
        try:
            runtime = model.compiled(self.properties).get_runtime_model()
            return ran_as(runtime, model.model, ops)
        except RuntimeError as error:  # only a report is lost
            logger.debug("How OpenVINO runs the ops is not known: %s", error)
            return {}

    def op_times(self, model: OpenVinoModel, inputs: Any, ops: Sequence[str]) -> OpTimes | None:
        """See ``Backend``; by OpenVINO's counters, in a model that is compiled with them."""
        counting = {**self.properties.of(model.precision), "PERF_COUNT": True}
        compiled = the_core().compile_model(model.model, DEVICE, counting)
        session = OpenVinoSession(compiled)
        try:
            # The first run pays for memory.
            session.run(inputs)
            runs = [session.counted(inputs) for _ in repetitions()]
        finally:
            session.close()
        which = OpNames(ops, model.parts)
        return op_times(runs, compiled.get_runtime_model(), model.model, which)

    def deployment(self, model: OpenVinoModel) -> dict[str, Any]:
        """See ``Outcome.deployment``: what ``compile_model`` is to be given."""
        return {"device": DEVICE, "properties": self.properties.of(model.precision)}

    def save(self, model: OpenVinoModel, path: Path) -> Path:
        """See ``Backend``; the weights are beside it."""
        return model.ir.write(path.with_suffix(self.model_suffix))
