"""Whether the installed PyTorch is one that we can tune with, and Inductor can compile."""

from __future__ import annotations

import re
from types import ModuleType

from nc_sigopt_strategy.errors import MissingExtraError, UnsupportedVersionError, needed

# As in the extra `torch`: earlier ones were never tried.
OLDEST = {"torch": (2, 13), "torchao": (0, 18)}
_EXTRA = "nc_sigopt_strategy[torch]"


def require_torch() -> None:
    """Import PyTorch and torchao.

    Raises:
        MissingExtraError: One is not installed or cannot be imported, or no C++ compiler works.
        UnsupportedVersionError: One is too old.
    """
    for name in OLDEST:
        check_version(name, needed(name, _EXTRA, what="Tuning with host='torch'"))
    check_compiler()


def check_version(name: str, module: ModuleType) -> None:
    """Check the version of a package.

    Raises:
        UnsupportedVersionError: It is too old.
    """
    version = str(getattr(module, "__version__", ""))
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) >= OLDEST[name]:
        return
    oldest = ".".join(map(str, OLDEST[name]))
    raise UnsupportedVersionError(
        f"{name} is {version}, which is too old: {oldest} or newer is needed.",
        f"Install it with: pip install --upgrade '{_EXTRA}'",
    )


def check_compiler() -> None:
    """Check that Inductor finds a C++ compiler, before anything is calibrated.

    Raises:
        MissingExtraError: It finds none.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except Exception as error:  # Inductor's own class, and what a broken compiler raises
        raise MissingExtraError(
            "Tuning with host='torch' needs a C++ compiler, and Inductor, which compiles the "
            "models, finds none that works.",
            "Install g++ or clang++, or name one in the environment variable CXX.",
        ) from error
