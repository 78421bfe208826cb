"""What the tuning loop needs of a framework: run, time, fingerprint and save a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nc_sigopt_strategy.backends.op_times import OpTimes
from nc_sigopt_strategy.errors import ModelError

Array = NDArray[Any]


class ModelSession(Protocol):
    """A loaded model that is ready to run."""

    def run(self, inputs: Any) -> list[Array]:
        """Outputs for one batch; ``inputs`` is what a calibration dataloader yields."""
        ...

    def close(self) -> None:
        """Give back the memory; the session cannot run afterwards."""
        ...


class Backend(Protocol):
    """One framework, as the strategy sees it; models are its host's model objects.

    Attributes:
        name: Of the framework.
        model_suffix: Of a saved model's file.
        native_float: Label of the type that it computes in where nobody asked for one: what a
            user gets without quantizing anything.
    """

    name: str
    model_suffix: str
    native_float: str

    def open(self, model: Any) -> ModelSession:
        """A session of its own, apart from those that INC or the user hold."""
        ...

    def release(self, model: Any) -> None:
        """Close the session that INC keeps inside the model object, keeping the graph."""
        ...

    def fingerprint(self, model: Any) -> str:
        """A hash that two models share exactly when their graphs are the same."""
        ...

    def graph_order(self, model: Any) -> Mapping[str, int]:
        """Op name to position, inputs first."""
        ...

    def op_graph(self, model: Any, ops: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Quantizable ops with their sizes and who reads whom; see ``op_graph.reduce_to_ops``.

        Sizes are null where shapes cannot be inferred.

        Args:
            model: INC's model whose nodes carry the names of the ops.
            ops: (node name, INC's op type), in graph order.
        """
        ...

    def keep_choices(self, model: Any) -> int:
        """Rewrite a quantized model in place, so that ops left in fp32 run so in any session.

        Returns:
            How many ops a session might else have quantized.
        """
        ...

    def ran_as(self, model: Any, ops: Sequence[str]) -> Mapping[str, str]:
        """How the ops of a model really run in a session, as far as that is known.

        Args:
            model: INC's model.
            ops: Names of ops.

        Returns:
            Op name to ``int8``, ``fp32`` or other words on it; nothing for a framework that does
            not tell.
        """
        ...

    def op_times(self, model: Any, inputs: Any, ops: Sequence[str]) -> OpTimes | None:
        """What the ops of a model take, by the framework's own profiler.

        Args:
            model: INC's model.
            inputs: One batch, as for ``ModelSession.run``.
            ops: Names of ops.

        Returns:
            ``None`` for a framework that does not tell.
        """
        ...

    def deployment(self, model: Any) -> Mapping[str, Any]:
        """What a session needs for the model to be what was measured, as JSON-safe data."""
        ...

    def save(self, model: Any, path: Path) -> Path:
        """Write the model to a file and return its path."""
        ...


def feed_by_position(names: list[str], inputs: Any) -> dict[str, Any]:
    """Pair a batch with input names: by key if it is a dict, else by position.

    Raises:
        ModelError: The number of inputs does not fit.
    """
    if isinstance(inputs, Mapping):
        return {
            name: inputs[name.split(":")[0]] if name not in inputs else inputs[name]
            for name in names
        }
    parts = [inputs] if len(names) == 1 else list(inputs)
    if len(parts) != len(names):
        raise ModelError(f"The model has {len(names)} inputs, but a batch holds {len(parts)}.")
    return {name: np.asarray(part) for name, part in zip(names, parts, strict=True)}
