"""Finishing TensorFlow graphs that Neural Compressor makes, where settings and version allow."""

from __future__ import annotations

import logging
from typing import Any

from nc_sigopt_strategy.errors import TrialError, in_one_line
from nc_sigopt_strategy.settings.choices import FINISHED
from nc_sigopt_strategy.settings.settings import Settings

logger = logging.getLogger("nc_sigopt_strategy")


def finishes(settings: Settings) -> bool:
    """Whether a run's TensorFlow models are finished; a warning says if only TensorFlow is why."""
    if settings.finishing != FINISHED:
        return False
    # Imported late: it needs TensorFlow.
    from nc_sigopt_strategy.backends.finishing.tensorflow_version import (
        runs_finished_graphs,
        too_old,
    )

    if not runs_finished_graphs():
        logger.warning("Models stay as Neural Compressor makes them: %s.", too_old())
        return False
    return True


def finish_in_place(model: Any) -> None:
    """Finish the graph of Neural Compressor's model object.

    Raises:
        TrialError: It cannot be finished.
    """
    # Imported late: it needs TensorFlow.
    from nc_sigopt_strategy.backends.finishing.finish import finish

    try:
        finish(model)
    except Exception as error:  # of a kind of graph that nobody has seen
        raise TrialError(
            f"The model that Neural Compressor made cannot be finished: {in_one_line(error)}",
            'Tune with finishing="off".',
        ) from error
