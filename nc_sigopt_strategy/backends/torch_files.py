"""Programs of ``torch.export`` in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nc_sigopt_strategy.backends.torch_compiled import CompiledModule
from nc_sigopt_strategy.errors import ModelError, in_one_line


def load_program(path: Path) -> CompiledModule:
    """A saved model as it is deployed; compiled when its first inputs come.

    Raises:
        ModelError: The file is no such program, or one of another version of PyTorch.
    """
    return CompiledModule(read_program(path).module(check_guards=False))


def read_program(path: Path) -> Any:
    """The ``torch.export.ExportedProgram`` in a file.

    Raises:
        ModelError: The file is no such program, or one of another version of PyTorch.
    """
    # What comes with it: the ops of quantized models, and the passes that give them int8 kernels.
    import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer  # noqa: F401

    try:
        return torch.export.load(str(path))
    except Exception as error:  # torch raises what unzipping and unpickling meet
        raise ModelError(
            f"{path} cannot be read as a program of torch.export: {in_one_line(error)}",
            "It is read by the version of PyTorch that wrote it, or a newer one.",
        ) from error
