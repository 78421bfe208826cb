"""The model as the user gave it, against what a host makes of it before it quantizes.

A host folds and fuses the FP32 graph, INC even in place. Where that goes wrong, it would give
every trial, and the accuracy that all are judged by, another model.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nc_sigopt_strategy.backends.backend import Array, Backend
from nc_sigopt_strategy.errors import DataError, ModelError, in_one_line
from nc_sigopt_strategy.tuning.host import Model

logger = logging.getLogger("nc_sigopt_strategy")

# Share of the outputs' own size. Folding and fusing move float32 by 1e-6 of it or so, a wrong
# weight by about 1.
_ROUNDING = 1e-2
# What float32 loses of a number of size 1: a probability of 1e-9 is the rest of such a one.
_NOTHING = 1e-6
# Share of numbers that may differ where there are only whole ones, such as labels.
_FLIPPED = 0.1


class AsGiven:
    """What the user's model gives on the first batch; made before anybody has touched the model.

    Args:
        backend: Runs it.
        model: The user's, as the backend takes models.
        loader: Whose first batch is run; ``None``: nothing is.
        rewriter: Who rewrites the model, for messages.
    """

    def __init__(
        self,
        backend: Backend,
        model: Model,
        loader: Any | None,
        *,
        rewriter: str = "Neural Compressor",
    ) -> None:
        self._backend = backend
        self._rewriter = rewriter
        self._batch: Any = None
        self._outputs: list[Array] | None = None
        self._problem: Exception | None = None
        try:
            first = None if loader is None else next(iter(loader), None)
            if first is not None:
                self._batch = first[0]
                self._outputs = _run(backend, model, self._batch)
        except Exception as error:  # the check says it, in the session
            self._problem = error

    def compare(self, models: Iterable[Model]) -> None:
        """Run what was made of the model, and see whether it is the same.

        Args:
            models: Each of them is to compute what the given one computes.

        Raises:
            DataError: The given model does not run on the data.
            ModelError: One does not run, or computes something else.
        """
        if self._problem is not None:
            raise _named(self._problem) from self._problem
        if self._outputs is None:
            return
        for model in models:
            found = self._run_rewritten(model)
            difference = differs(found, self._outputs)
            if difference is None:
                continue
            if differs(self._run_rewritten(model), found) is not None:
                logger.info("The model's outputs are random: they are not compared.")
                return
            raise ModelError(
                f"{self._rewriter}'s rewriting of the FP32 model changed what it computes: on the "
                f"first calibration batch {difference}.",
                "Nothing was tried. Simplify the model before (weights that several nodes share "
                "are a known cause), or take it from another export.",
            )

    def _run_rewritten(self, model: Model) -> list[Array]:
        try:
            return _run(self._backend, model, self._batch)
        except Exception as error:
            raise ModelError(
                f"The FP32 model runs as you gave it, and not as {self._rewriter} rewrote it: "
                f"{in_one_line(error)}",
                "Nothing was tried. Simplify the model before, or take it from another export.",
            ) from error


def differs(found: Sequence[Array], expected: Sequence[Array]) -> str | None:
    """How outputs differ by more than rounding, in words; ``None`` if they do not."""
    if len(found) != len(expected):
        return f"it has {len(found)} outputs and not {len(expected)}"
    for position, (one, other) in enumerate(zip(found, expected, strict=True)):
        one, other = np.asarray(one), np.asarray(other)
        if one.shape != other.shape:
            return f"output {position} is of shape {list(one.shape)} and not {list(other.shape)}"
        share = _difference(one, other)
        if share is not None:
            return f"output {position} differs by {share:.0%}"
    return None


def _difference(one: Array, other: Array) -> float | None:
    if not np.issubdtype(other.dtype, np.floating):
        share = float(np.mean(one != other)) if other.size else 0.0
        return share if share > _FLIPPED else None
    finite = np.isfinite(one) & np.isfinite(other)
    # What is NaN or infinite in both is so by the model's own doing.
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return 1.0
    a, b = one[finite].astype(np.float64), other[finite].astype(np.float64)
    if not a.size:
        return None
    size = float(np.sqrt(np.mean(b**2)))
    error = float(np.sqrt(np.mean((a - b) ** 2)))
    return error / size if size and error > max(_ROUNDING * size, _NOTHING) else None


def _run(backend: Backend, model: Model, batch: Any) -> list[Array]:
    session = backend.open(model)
    try:
        return session.run(batch)
    finally:
        session.close()


def _named(problem: Exception) -> Exception:
    if isinstance(problem, (DataError, ModelError)):
        return problem
    return DataError(
        f"The calibration data does not fit the model: {in_one_line(problem)}",
        "The dataloader must yield (inputs, label) with inputs of the model's own shape; where it "
        "does, the model does not run here as it was given either.",
    )
