"""Models that came from Keras, as the user's own functions get them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager.context import eager_mode

from nc_sigopt_strategy.backends.tensorflow import TensorFlowSession
from nc_sigopt_strategy.hosts.inc.keras_models import evaluated_now, export_of
from nc_sigopt_strategy.measurement.batches import batch_length
from nc_sigopt_strategy.measurement.feeding import Feeder


class KerasLike:
    """A model that came from Keras, as the user's own functions get it: called as Keras' is.

    INC would hand them a loaded SavedModel for FP32 and a graph for every other model.

    Args:
        graph_def: The model's graph.
        inputs: Names of its input tensors.
        outputs: Names of its output tensors.
        keys: Of the dict that the model returns, in the order of ``outputs``; ``None`` for one
            that returns an array or a list.
    """

    def __init__(
        self,
        graph_def: Any,
        inputs: Sequence[str],
        outputs: Sequence[str],
        keys: Sequence[str] | None = None,
    ) -> None:
        self.graph_def = graph_def
        self._keys = keys
        self._ends = inputs, outputs
        self._session = self.open_session()
        self._feeder = Feeder(self._session.inputs)

    def open_session(self) -> TensorFlowSession:
        """A session of its own, whose outputs come in the model's order."""
        return TensorFlowSession(self.graph_def, *self._ends)

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        """The outputs of a batch as tensors; one, or a list or dict of them as Keras' model."""
        outputs = self._session.run(self._feeder.feed(inputs, 0))
        with eager_mode():
            tensors = [tf.constant(output) for output in outputs]
        return self._as_returned(tensors)

    def predict(self, inputs: Any, batch_size: int | None = None, **_: Any) -> Any:
        """The outputs of arrays of inputs as arrays; one, or a list or dict of them."""
        fed = self._feeder.feed(inputs, 0)
        if batch_size is None or batch_size >= batch_length(fed):
            outputs = self._session.run(fed)
        else:
            parts = [
                self._session.run(_rows(fed, start, start + batch_size))
                for start in range(0, batch_length(fed), batch_size)
            ]
            outputs = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        return self._as_returned(outputs)

    def _as_returned(self, outputs: list[Any]) -> Any:
        if self._keys is not None:
            return dict(zip(self._keys, outputs, strict=True))
        return outputs[0] if len(outputs) == 1 else outputs

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"A quantized model is a graph without Keras layers and has no {name!r}: it can be "
            "called, and has predict() and graph_def."
        )


def _rows(fed: Any, start: int, stop: int) -> Any:
    if isinstance(fed, Mapping):
        return {name: array[start:stop] for name, array in fed.items()}
    return fed[start:stop]


def presented(evaluation: Callable[[Any], Any], given: Any) -> Callable[[Any], Any]:
    """A user's function that gets a ``KerasLike`` of the model that is evaluated.

    Args:
        evaluation: The user's.
        given: INC's model object of the FP32 model.
    """

    # What INC hands it is left aside: of some of its model objects that is a graph, of others a
    # SavedModel that was written and loaded again.
    def present(_: Any) -> Any:
        return evaluation(keras_like(evaluated_now(given), given))

    return present


def keras_like(model: Any, given: Any) -> KerasLike:
    """A model of INC's, FP32 or quantized, as a ``KerasLike``.

    Args:
        model: INC's model object.
        given: That of the FP32 model, which names its ends in their order.
    """
    export = export_of(given)
    keys = export.outputs if export is not None and export.outputs_by_name else None
    return KerasLike(model.graph_def, given.input_tensor_names, given.output_tensor_names, keys)
