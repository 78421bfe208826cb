"""What ``torch.export`` says where it cannot trace a module, in one error."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

import nc_sigopt_strategy
from nc_sigopt_strategy.errors import ModelError, in_one_line

_NOT_THE_USERS = tuple(str(Path(str(p.__file__)).parent) for p in (torch, nc_sigopt_strategy))


@contextlib.contextmanager
def told_in_one_error(what: str) -> Iterator[None]:
    """Inside, a module is traced.

    Args:
        what: The module in words.

    Raises:
        ModelError: It cannot be.
    """
    try:
        with _silent():
            yield
    except GuardOnDataDependentSymNode as error:
        raise ModelError(
            f"torch.export cannot trace {what}: what it does depends on the values in its inputs"
            f"{_place(error)}.",
            "Write that with torch.where, or leave it to what calls the model.",
        ) from error
    except Exception as error:  # torch.export raises what its tracing meets
        said = in_one_line(error).rstrip(".")
        raise ModelError(f"torch.export cannot trace {what}: {said}.", _way_out(said)) from error


def _place(error: BaseException) -> str:
    """File, line and source in the user's code where tracing ended; empty if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_USERS)]
    if not own:
        return ""
    last = own[-1]
    return f" ({last.filename}, line {last.lineno}: {last.line})"


def _way_out(said: str) -> str:
    if "dtype" in said or "should be the same" in said:
        return (
            "Let the dataloader yield (inputs, labels), inputs first, of the types that forward "
            "takes."
        )
    return (
        "Control flow that depends on the data, and inputs of another shape than forward takes, "
        "are the usual reasons."
    )


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Inside, torch prints no graph of what it cannot trace, and logs no advice on it."""
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = logger.level
    logger.setLevel(logging.ERROR)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            yield
    finally:
        logger.setLevel(level)
    # Of what was traced: what the user's own code says.
    sys.stderr.write(printed.getvalue())
