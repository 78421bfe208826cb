"""Whether the installed packages of a host are ones that we can tune with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import ModuleType

from nc_sigopt_strategy.errors import UnsupportedVersionError, needed


def require_packages(oldest: Mapping[str, tuple[int, int]], extra: str, what: str) -> None:
    """Import the packages of a host.

    Args:
        oldest: Name to the first two numbers of the oldest version, as in the extra.
        extra: What pip installs, such as ``nc_sigopt_strategy[openvino]``.
        what: What needs them, as the subject of a sentence.

    Raises:
        MissingExtraError: One is not installed, or cannot be imported.
        UnsupportedVersionError: One is too old.
    """
    for name, version in oldest.items():
        check_version(name, needed(name, extra, what=what), version, extra)


def check_version(name: str, module: ModuleType, oldest: tuple[int, int], extra: str) -> None:
    """Check the version of a package; arguments as for ``require_packages``.

    Raises:
        UnsupportedVersionError: It is too old.
    """
    version = str(getattr(module, "__version__", ""))
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) >= oldest:
        return
    raise UnsupportedVersionError(
        f"{name} is {version}, which is too old: {oldest[0]}.{oldest[1]} or newer is needed.",
        f"Install it with: pip install --upgrade '{extra}'",
    )
