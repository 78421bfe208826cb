"""Whether the rows of a batch are inputs that a model can be fed one by one.

NNCF gets the range of each input where they come by themselves, so that is how they are fed. But
what a free first axis is nobody declares: it may count time steps or boxes, and a module of
PyTorch's that was traced with one batch may take no other, though its input says that it does.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from nc_sigopt_strategy.backends.backend import Array, ModelSession
from nc_sigopt_strategy.errors import in_one_line
from nc_sigopt_strategy.hosts.as_given import differs
from nc_sigopt_strategy.measurement.batches import batch_length

logger = logging.getLogger("nc_sigopt_strategy")


def row_of(batch: Mapping[str, Array], row: int) -> dict[str, Array]:
    """One input of a batch, as a batch of one; what has no axis goes with each of them."""
    return {
        name: value[row : row + 1] if np.ndim(value) else value for name, value in batch.items()
    }


def are_single_inputs(session: ModelSession, batch: Mapping[str, Array]) -> bool:
    """Whether a model makes of the first row alone what it makes of it in the batch.

    Args:
        session: Runs the float model.
        batch: Input name to array; the first axes are free.
    """
    length = batch_length(batch)
    if {len(value) for value in batch.values() if np.ndim(value)} != {length}:
        return False
    if length == 1:
        return True
    try:
        whole = session.run(batch)
    except Exception as error:  # of OpenVINO's; said where the model is checked
        logger.debug("The model does not run on its first batch: %s", error)
        return True
    try:
        alone = session.run(row_of(batch, 0))
    except Exception as error:  # it takes no other number of inputs
        logger.info("Batches calibrate, since one input does not run: %s", in_one_line(error))
        return False
    rows = [
        (one, made[:1])
        for one, made in zip(alone, whole, strict=True)
        if np.ndim(made) and len(made) == length
    ]
    difference = differs([one for one, _ in rows], [row for _, row in rows])
    if difference is not None:
        logger.info("Batches calibrate, since one input gives something else: %s.", difference)
    return difference is None
