"""Packages that only the harness needs."""

from __future__ import annotations

import importlib
from typing import Any

from nc_sigopt_strategy.errors import MissingExtraError


def needed(module: str) -> Any:
    """Import a module of the ``benchmark`` extra.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"This needs {module}, which cannot be imported: {error}.",
            "Install it with: pip install 'nc_sigopt_strategy[benchmark]'",
        ) from error
