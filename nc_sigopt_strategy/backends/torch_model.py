"""A PyTorch graph with all that is needed to run, hash and save it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from nc_sigopt_strategy.backends.backend import feed_by_position
from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.backends.torch_compiled import CompiledModule

# Of a batch that stands for all: torch.export takes 0 and 1 for constants.
_EXAMPLES = 2


@dataclass(frozen=True)
class CallForm:
    """How a module is called.

    Attributes:
        inputs: What it takes, in order.
        by_name: Whether inputs are keywords of ``forward``, as of a dataloader that yields dicts.
        own_outputs: Makes what the user's module returns of what the graph does, which has plain
            containers only.
    """

    inputs: tuple[ModelInput, ...]
    by_name: bool = False
    own_outputs: Callable[[Any], Any] = field(default=lambda outputs: outputs, repr=False)

    def call(self, module: Any, batch: Any) -> Any:
        """What a module returns for a batch of arrays, by position or by name.

        Numbers of another floating type than an input's are converted.
        """
        fed = feed_by_position([known.name for known in self.inputs], batch)
        floats = {known.name for known in self.inputs if known.dtype == np.float32}
        tensors = {name: as_tensor(value) for name, value in fed.items()}
        return self._called(
            module,
            {
                name: tensor.float() if name in floats and tensor.is_floating_point() else tensor
                for name, tensor in tensors.items()
            },
        )

    def examples(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword inputs of zeros, to trace with."""
        made = {
            known.name: torch.from_numpy(
                np.zeros([size or _EXAMPLES for size in known.shape or ()], known.dtype)
            )
            for known in self.inputs
        }
        return ((), made) if self.by_name else (tuple(made.values()), {})

    def dynamic_shapes(self) -> Any:
        """The axes of any length, as ``torch.export.export`` is told of them."""
        axes = {
            known.name: {
                axis: torch.export.Dim.AUTO
                for axis, size in enumerate(known.shape or ())
                if size is None
            }
            for known in self.inputs
        }
        return axes if self.by_name else tuple(axes.values())

    def _called(self, module: Any, tensors: Mapping[str, Any]) -> Any:
        return module(**tensors) if self.by_name else module(*tensors.values())


@dataclass(eq=False)
class TorchModel:
    """A graph of aten ops, as ``torch.export`` and PT2E make it; not changed once it is made.

    Attributes:
        module: The graph with its weights.
        form: How it is called.
        node_names: Name of an op, as hosts name it, to its node's in the graph.
    """

    module: torch.fx.GraphModule
    form: CallForm
    node_names: Mapping[str, str] = field(default_factory=dict, repr=False)
    _compiled: CompiledModule | None = field(default=None, init=False, repr=False)

    def compiled(self) -> CompiledModule:
        """The model as it is deployed; the same one until ``release``."""
        if self._compiled is None:
            self._compiled = CompiledModule(self.module, self.form.own_outputs)
        return self._compiled

    def release(self) -> None:
        """Give back what running it took."""
        self._compiled = None

    @cached_property
    def digest(self) -> str:
        """A hash of ops, their arguments and weights, whatever the nodes are called."""
        found = hashlib.sha256()
        index: dict[Any, str] = {}
        for node in self.module.graph.nodes:
            index[node] = f"%{len(index)}"
            target: Any = str(node.target)
            if node.op in ("get_attr", "placeholder", "output"):
                # Names count up with what else was in the graph while it was made.
                target = ""
            arguments = torch.fx.node.map_arg((node.args, dict(node.kwargs)), index.__getitem__)
            found.update(f"{node.op} {target} {arguments!r}\n".encode())
            if node.op == "get_attr":
                found.update(_bytes_of(attribute(self.module, str(node.target))))
        return found.hexdigest()


def attribute(module: torch.nn.Module, target: str) -> Any:
    """A module's attribute by its dotted name."""
    found: Any = module
    for part in target.split("."):
        found = getattr(found, part)
    return found


def as_tensor(value: Any) -> Any:
    """An array as a tensor that shares its memory where torch allows it."""
    if isinstance(value, torch.Tensor):
        return value
    array = np.ascontiguousarray(value)
    # torch warns of memory that it might write to.
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _bytes_of(value: Any) -> bytes:
    if not isinstance(value, torch.Tensor):
        return repr(type(value)).encode()
    tensor = value.detach().contiguous()
    head = f"{tensor.dtype} {tuple(tensor.shape)} ".encode()
    content: bytes = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
    return head + content
