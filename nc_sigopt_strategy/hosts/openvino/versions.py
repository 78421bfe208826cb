"""Whether the installed OpenVINO and NNCF are ones that we can tune with."""

from __future__ import annotations

import re
from types import ModuleType

from nc_sigopt_strategy.errors import UnsupportedVersionError, needed

# As in the extra `openvino`: earlier ones were never tried.
OLDEST = {"openvino": (2026, 4), "nncf": (3, 4)}
_EXTRA = "nc_sigopt_strategy[openvino]"


def require_openvino() -> None:
    """Import OpenVINO and NNCF.

    Raises:
        MissingExtraError: One is not installed, or cannot be imported.
        UnsupportedVersionError: One is too old.
    """
    for name in OLDEST:
        check_version(name, needed(name, _EXTRA, what="Tuning with OpenVINO"))


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
