"""Whether the installed OpenVINO and NNCF are ones that we can tune with."""

from __future__ import annotations

from nc_sigopt_strategy.hosts.package_versions import require_packages

# As in the extra `openvino`: earlier ones were never tried.
OLDEST = {"openvino": (2026, 4), "nncf": (3, 4)}
EXTRA = "nc_sigopt_strategy[openvino]"


def require_openvino() -> None:
    """Import OpenVINO and NNCF.

    Raises:
        MissingExtraError: One is not installed, or cannot be imported.
        UnsupportedVersionError: One is too old.
    """
    require_packages(OLDEST, EXTRA, "Tuning with OpenVINO")
