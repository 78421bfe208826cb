"""Which ops of a model run otherwise than chosen: a framework's optimizer has the last word."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.space.ops import PRECISIONS, Choices
from nc_sigopt_strategy.tuning.host import Model

logger = logging.getLogger("nc_sigopt_strategy")

_NAMED = 5


class AsRan:
    """Compares what was chosen with what runs, and says so once in a run.

    Args:
        backend: Tells how ops run.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._said = False

    def differences(self, model: Model, choices: Choices, *, say: bool = True) -> dict[str, str]:
        """Op name to "chosen, runs as ...", for ops that do not run in the precision chosen.

        Args:
            model: As it is evaluated and timed.
            choices: What it was made from.
            say: Whether to log it, if nothing was logged yet.
        """
        labels = {name: label for (name, _), label in choices.labels.items()}
        ran = self._backend.ran_as(model, list(labels))
        found = {
            op: f"{labels[op]}, runs as {how}"
            for op, how in ran.items()
            if _quantized(labels[op]) != _quantized(how)
        }
        if found and say and not self._said:
            self._said = True
            logger.info("%s", in_words(found, len(labels)))
        return found


def in_words(differences: Mapping[str, str], ops: int) -> str:
    """One sentence on ops that run otherwise than chosen."""
    named = [f"{op} ({what})" for op, what in list(differences.items())[:_NAMED]]
    more = ", ..." if len(differences) > _NAMED else ""
    return (
        f"{len(differences)} of {ops} ops run otherwise than chosen, because the framework's "
        f"optimizer decides by their neighbours: {', '.join(named)}{more}. Accuracy and latency "
        "are of the model as it runs; ran_differently in trials.jsonl has each trial's."
    )


def _quantized(label: str) -> bool:
    return label.split()[0] not in PRECISIONS
