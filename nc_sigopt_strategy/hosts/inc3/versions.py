"""Whether the installed Neural Compressor is one that this host can tune with."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import sys
import warnings
from collections.abc import Iterator

from nc_sigopt_strategy.errors import UnsupportedVersionError, missing, needed
from nc_sigopt_strategy.hosts.inc_version import (
    WITHOUT_STRATEGIES,
    installed_version,
    release_of,
)

SUPPORTED = "neural-compressor>=3.8"
_TRIED = "3.8 to 3.10"
_EXTRA = "nc_sigopt_strategy[inc3]"
_WHAT = "Tuning with host='inc3'"
_PARTS = "nc_sigopt_strategy.hosts.inc3.inc_parts"


def check_inc3_version(installed: str | None = None) -> None:
    """Check that Neural Compressor's version is one for this host; nothing is imported.

    Args:
        installed: The version to check; ``None`` for the installed one.

    Raises:
        UnsupportedVersionError: It is missing or too old.
    """
    if installed is None:
        installed = installed_version("inc3")
    if release_of(installed) < WITHOUT_STRATEGIES:
        raise UnsupportedVersionError(
            f"Neural Compressor {installed} is installed, and host='inc3' needs {SUPPORTED}.",
            "Tune with host='inc', which is for earlier versions, or update it: pip install "
            f"'{_EXTRA}'.",
        )


def require_inc3() -> None:
    """Import what this host needs of Neural Compressor and TensorFlow.

    Raises:
        MissingExtraError: A package is not installed, or cannot be imported.
        UnsupportedVersionError: Neural Compressor is too old, or lacks what is used of it;
            setuptools is too new for it.
    """
    check_inc3_version()
    needed("tensorflow", _EXTRA, what=_WHAT)
    try:
        with warnings.catch_warnings(), _real_stderr():
            # It imports pkg_resources, which warns of its end.
            warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
            importlib.import_module(_PARTS)
    except ImportError as error:
        raise _in_our_words(error) from error


@contextlib.contextmanager
def _real_stderr() -> Iterator[None]:
    """Inside, ``sys.stderr`` is what Python began with, on descriptor 2.

    Neural Compressor keeps the stream that it finds when it is imported, and later redirects its
    descriptor to read what TensorFlow prints on descriptor 2. Notebooks and test runners put
    streams of their own in its place.
    """
    found = sys.stderr
    sys.stderr = sys.__stderr__ or found
    try:
        yield
    finally:
        sys.stderr = found


def _in_our_words(error: ImportError) -> ImportError:
    name = error.name or ""
    inc = installed_version("inc3")
    if name == "pkg_resources":
        return UnsupportedVersionError(
            f"Neural Compressor {inc} imports pkg_resources, which is not there: setuptools is "
            f"{_version_of('setuptools')}.",
            "Install one that still has it: pip install 'setuptools<81'",
        )
    if name.split(".")[0] == "neural_compressor":
        return UnsupportedVersionError(
            f"Neural Compressor {inc} is not as this host knows it ({_TRIED} are): {error}.",
            "Install a version that is: pip install 'neural-compressor[tf]==3.10'",
        )
    return missing(error, _EXTRA, what=_WHAT)


def _version_of(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
