"""PyTorch models, run on the CPU as Inductor compiles them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.backends.op_graph import reduce_to_ops
from nc_sigopt_strategy.backends.op_times import OpTimes
from nc_sigopt_strategy.backends.torch_compiled import CompiledModule
from nc_sigopt_strategy.backends.torch_graph import graph_nodes
from nc_sigopt_strategy.backends.torch_memory import environment, keep_freed_memory
from nc_sigopt_strategy.backends.torch_model import CallForm, TorchModel
from nc_sigopt_strategy.backends.torch_outputs import arrays_of
from nc_sigopt_strategy.errors import ModelError, in_one_line


class TorchSession:
    """A compiled model; compiled when the first batch of a shape comes.

    As long as it is open, the process keeps the memory that it frees.

    Args:
        compiled: What runs.
        form: How it is called.
    """

    def __init__(self, compiled: CompiledModule, form: CallForm) -> None:
        self._compiled: CompiledModule | None = compiled
        self._form = form
        self._done_with_memory = keep_freed_memory(self)

    def run(self, inputs: Any) -> list[Array]:
        """See ``ModelSession``."""
        return arrays_of(self._form.call(self._compiled, inputs))

    def close(self) -> None:
        """See ``ModelSession``."""
        self._compiled = None
        self._done_with_memory()


class TorchBackend:
    """``TorchModel`` objects; see ``Backend`` for the contract."""

    name = "torch"
    model_suffix = ".pt2"
    native_float = "fp32"

    def open(self, model: TorchModel) -> TorchSession:
        """See ``Backend``."""
        return TorchSession(model.compiled(), model.form)

    def release(self, model: TorchModel) -> None:
        """See ``Backend``."""
        model.release()

    def fingerprint(self, model: TorchModel) -> str:
        """See ``Backend``."""
        return model.digest

    def graph_order(self, model: TorchModel) -> Mapping[str, int]:
        """See ``Backend``."""
        named = {node: op for op, node in model.node_names.items()}
        order = enumerate(model.module.graph.nodes)
        return {named.get(node.name, node.name): position for position, node in order}

    def op_graph(self, model: TorchModel, ops: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """See ``Backend``."""
        nodes, shapes = graph_nodes(model.module, model.node_names)
        return reduce_to_ops(nodes, shapes, ops)

    def keep_choices(self, model: TorchModel) -> int:
        """Nothing to do: Inductor quantizes no op by itself."""
        return 0

    def ran_as(self, model: TorchModel, ops: Sequence[str]) -> Mapping[str, str]:
        """Nothing: Inductor does not tell."""
        return {}

    def op_times(self, model: TorchModel, inputs: Any, ops: Sequence[str]) -> OpTimes | None:
        """Nothing: Inductor does not tell which op its kernels belong to."""
        return None

    def deployment(self, model: TorchModel) -> dict[str, Any]:
        """See ``Outcome.deployment``: how the model is compiled, and the process is started."""
        return {
            "compile": "torch.compile",
            "inductor": {"freezing": True},
            "threads": torch.get_num_threads(),
            "environment": dict(environment()),
        }

    def save(self, model: TorchModel, path: Path) -> Path:
        """See ``Backend``: an exported program, which is compiled where it is loaded.

        Raises:
            ModelError: The graph cannot be exported.
        """
        target = path.with_suffix(self.model_suffix)
        inputs, named = model.form.examples()
        try:
            with torch.no_grad():
                program = torch.export.export(
                    model.module, inputs, named, dynamic_shapes=model.form.dynamic_shapes()
                )
        except Exception as error:  # torch.export raises what its tracing meets
            raise ModelError(f"The model cannot be exported: {in_one_line(error)}") from error
        torch.export.save(program, str(target))
        return target
