"""A PyTorch graph as it is deployed: compiled by Inductor with its weights frozen.

Freezing folds constants and packs weights for oneDNN; without it the int8 kernels are not even
reachable. Inductor reads it from a global of its own while it compiles, and it compiles when the
first inputs of a shape come. So it is set for just those calls, and whatever else a process
compiles is left alone.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import torch
import torch._inductor.config as inductor

from nc_sigopt_strategy.errors import ModelError, in_one_line

_NO_COMPILER = re.compile(r"InvalidCxxCompiler|No working C\+\+ compiler")
# What Dynamo adds to every message.
_ADVICE = re.compile(r"(Use tlparse to see|Set TORCHDYNAMO_VERBOSE=1|Original traceback:).*", re.S)


class CompiledModule:
    """Calls a graph through ``torch.compile``; takes and returns what the user's module does.

    The first call with inputs of a shape compiles, for seconds; so does one of a second batch
    size, which is then compiled for any size. Gradients are never recorded.

    Args:
        module: The graph.
        own_outputs: Makes what the user's module returns of what the graph does.
    """

    def __init__(
        self,
        module: torch.fx.GraphModule,
        own_outputs: Callable[[Any], Any] = lambda outputs: outputs,
    ) -> None:
        self._compiled = torch.compile(module)
        self._signature = inspect.signature(module.forward)
        self._own_outputs = own_outputs
        self._known: set[Any] = set()

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """The outputs for one batch of tensors.

        Raises:
            ModelError: Inductor cannot compile the graph, or has no C++ compiler; or the graph was
                traced with other inputs than these.
        """
        form = (*map(_form, inputs), *((name, _form(value)) for name, value in named.items()))
        with torch.no_grad():
            if form in self._known:
                return self._own_outputs(self._compiled(*inputs, **named))
            with inductor.patch(freezing=True):
                outputs = self._compiling(inputs, named)
        self._known.add(form)
        return self._own_outputs(outputs)

    def eval(self) -> CompiledModule:
        """Itself: it evaluates and nothing else."""
        return self

    def _compiling(self, inputs: Any, named: Any) -> Any:
        try:
            self._signature.bind(*inputs, **named)
        except TypeError as error:
            raise ModelError(
                f"The model was called with other inputs than it was traced with: {error}. It "
                f"takes {', '.join(self._signature.parameters)}.",
                "Call it with these. Labels are no inputs: compute loss or accuracy of what the "
                "model returns.",
            ) from error
        try:
            return self._compiled(*inputs, **named)
        except Exception as error:
            if not _is_of_the_compiler(error):
                raise
            if _NO_COMPILER.search(f"{type(error).__name__} {error}"):
                raise ModelError(
                    "torch.compile found no C++ compiler, and its Inductor writes C++ for a CPU.",
                    "Install one (g++ or clang++), or name it in the environment variable CXX.",
                ) from error
            raise ModelError(
                f"torch.compile cannot compile the model: {compilers_words(error)}",
            ) from error


def compilers_words(error: BaseException) -> str:
    """What Dynamo or Inductor say of an error, without the advice for their developers."""
    return in_one_line(_ADVICE.sub("", str(error)))


def _is_of_the_compiler(error: BaseException) -> bool:
    modules = (type(error).__module__ or "").split(".")
    return modules[:2] in (["torch", "_inductor"], ["torch", "_dynamo"])


def _form(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.stride(), value.dtype
    return type(value)
