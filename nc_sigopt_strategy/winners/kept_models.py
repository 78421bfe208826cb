"""The models that may still win: in memory, and the best of them on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.backends.backend import Backend

logger = logging.getLogger("nc_sigopt_strategy")

BEST_MODEL = "best_model"


class KeptModels:
    """Keeps INC's model objects by trial number.

    Args:
        backend: Writes models.
        folder: Where the best one is written.
    """

    def __init__(self, backend: Backend, folder: Path) -> None:
        self._backend = backend
        self._path = (folder / BEST_MODEL).with_suffix(backend.model_suffix)
        self._models: dict[int, Any] = {}
        self.save_error: str | None = None

    @property
    def file_name(self) -> str:
        """Name of the best model's file in the run folder."""
        return self._path.name

    def keep(self, number: int, model: Any, finalists: Iterable[int]) -> None:
        """Keep a trial's model if it is a finalist, and drop those that no longer are."""
        self._models[number] = model
        wanted = set(finalists)
        self._models = {n: m for n, m in self._models.items() if n in wanted}

    def get(self, number: int) -> Any:
        """The trial's model, or ``None``."""
        return self._models.get(number)

    def save(self, model: Any) -> None:
        """Write the best model; a full disk costs the file, not the run."""
        try:
            self._backend.save(model, self._path)
            self.save_error = None
        except OSError as error:
            self.save_error = f"The best model could not be saved: {error}."
            logger.error("%s", self.save_error)

    def clear(self) -> None:
        """Let go of all models."""
        self._models.clear()
