"""The user's own module beside what was made of it, for the comparison before the first trial."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from nc_sigopt_strategy.backends.backend import Array, ModelSession
from nc_sigopt_strategy.backends.torch import TorchBackend
from nc_sigopt_strategy.backends.torch_model import CallForm, TorchModel
from nc_sigopt_strategy.backends.torch_outputs import arrays_of


@contextlib.contextmanager
def evaluating_mode(module: torch.nn.Module) -> Iterator[None]:
    """Inside, a module evaluates; afterwards each of its parts is in the mode that it was in.

    What ``torch.export`` made has no modes: it does what the module did that was exported.
    """
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
    except NotImplementedError:
        yield
        return
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


class EagerToo(TorchBackend):
    """A backend that also runs a module just as the user would, not compiled.

    Args:
        form: How the module is called.
    """

    def __init__(self, form: CallForm) -> None:
        self._form = form

    def open(self, model: Any) -> ModelSession:  # type: ignore[override]
        """See ``Backend``; of a ``TorchModel`` or of a module."""
        if isinstance(model, TorchModel):
            return super().open(model)
        return _EagerSession(model, self._form)


class _EagerSession:
    def __init__(self, module: Any, form: CallForm) -> None:
        self._module, self._form = module, form

    def run(self, inputs: Any) -> list[Array]:
        """See ``ModelSession``; in evaluation mode, whatever mode the module is left in."""
        with evaluating_mode(self._module), torch.no_grad():
            return arrays_of(self._form.call(self._module, inputs))

    def close(self) -> None:
        """See ``ModelSession``."""
        self._module = None
