"""Which Neural Compressor is installed; told without importing it."""

from __future__ import annotations

import importlib.metadata
import re

from nc_sigopt_strategy.errors import UnsupportedVersionError

# From here on it has no tuning strategies, and its TensorFlow side is that of the host ``inc3``.
WITHOUT_STRATEGIES = (3, 8)


def installed_version(extra: str = "inc") -> str:
    """The version of the installed Neural Compressor.

    Args:
        extra: Ours that brings one, for the message.

    Raises:
        UnsupportedVersionError: There is none.
    """
    try:
        return importlib.metadata.version("neural_compressor")
    except importlib.metadata.PackageNotFoundError:
        raise UnsupportedVersionError(
            "Neural Compressor is not installed.",
            f"Install it with: pip install 'nc_sigopt_strategy[{extra}]'",
        ) from None


def release_of(version: str) -> tuple[int, int]:
    """Major and minor number of a version; ``3.10rc1`` is (3, 10)."""
    found = re.match(r"(\d+)(?:\.(\d+))?", version)
    return (0, 0) if found is None else (int(found[1]), int(found[2] or 0))
