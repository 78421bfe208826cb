"""Files that Python packages ship beside their code, found without running that code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from nc_sigopt_benchmarks.extras import HARNESS
from nc_sigopt_strategy.errors import MissingExtraError, ModelError


def package_file(package: str, file: str, *, install: str, what: str) -> Path:
    """A file in the folder of an installed package.

    The package is not imported: what its code needs besides may be gigabytes, and is not needed
    to read a file.

    Args:
        package: Its name when it is imported.
        file: Relative to its folder, with slashes; may hold a ``*``.
        install: What follows ``pip install``.
        what: What needs it, as the subject of a sentence.

    Raises:
        MissingExtraError: The package is not installed.
        ModelError: It is, without that file: another version, or a damaged installation.
    """
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else [Path(f) for f in spec.submodule_search_locations or ()]
    if not folders:
        raise MissingExtraError(
            f"{what} comes with the package {package}, which is not installed.",
            f"Install it with: pip install {install}",
        )
    found = sorted(path for folder in folders for path in folder.glob(file) if path.is_file())
    if not found:
        raise ModelError(
            f"{what} should be {file} in the package {package} ({folders[0]}), which has no such "
            "file.",
            f"Install it anew with: pip install --force-reinstall {install}",
        )
    return found[0]


EXTRA = f"'{HARNESS}[models]'"
