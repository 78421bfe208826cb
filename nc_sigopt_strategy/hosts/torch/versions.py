"""Whether the installed PyTorch is one that we can tune with, and Inductor can compile."""

from __future__ import annotations

from nc_sigopt_strategy.errors import MissingExtraError
from nc_sigopt_strategy.hosts.package_versions import require_packages

# As in the extra `torch`: earlier ones were never tried.
OLDEST = {"torch": (2, 13), "torchao": (0, 18)}
_EXTRA = "nc_sigopt_strategy[torch]"


def require_torch() -> None:
    """Import PyTorch and torchao.

    Raises:
        MissingExtraError: One is not installed or cannot be imported, or no C++ compiler works.
        UnsupportedVersionError: One is too old.
    """
    require_packages(OLDEST, _EXTRA, "Tuning with host='torch'")
    check_compiler()


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
