"""The official client's names, imported so that neither folder nor environment can break it.

``import sigopt`` computes a default project from ``SIGOPT_PROJECT`` or the working directory's
name and raises ``ValueError`` where that is no project id, for instance in ``/`` (sigopt 8.8.3,
defaults.py). We never use that default, so a valid one stands in during the import;
``Settings`` is what reports a wrong ``SIGOPT_PROJECT``.
"""

from __future__ import annotations

import os
from typing import Any

_given = os.environ.get("SIGOPT_PROJECT")
os.environ["SIGOPT_PROJECT"] = "nc-tune"
try:
    from sigopt import Connection
    from sigopt.config import config as client_config
    from sigopt.exception import ApiException, SigOptException
    from sigopt.ratelimit import failed_status_rate_limit
finally:
    if _given is None:
        del os.environ["SIGOPT_PROJECT"]
    else:
        os.environ["SIGOPT_PROJECT"] = _given


def without_token(connection: Any, said: object) -> str:
    """Text of a server or of the client, with the connection's API token blotted out."""
    auth = getattr(connection.impl.driver, "auth", None)
    token = getattr(auth, "username", None)
    return str(said).replace(token, "***") if token else str(said)


__all__ = [
    "ApiException",
    "Connection",
    "SigOptException",
    "client_config",
    "failed_status_rate_limit",
    "without_token",
]
