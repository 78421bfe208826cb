"""A process that runs a job: what it gets, what it leaves, and how long it may take to end."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import nc_sigopt_strategy
from nc_sigopt_strategy.errors import SigOptStrategyError, UsersCodeError
from nc_sigopt_strategy.tuning.failures import way_through_users_code

REQUEST_FILE = "request.json"
ERROR_FILE = "error.json"
# Imports and data before the budget starts, and the last trial, which native code may be in the
# middle of, after it: a worker that is this much over its budget hangs.
GRACE_SECONDS = 90.0
# What an interrupted worker gets to close its open suggestion and save its best model.
SAVING_SECONDS = 60.0


def describe_error(error: BaseException) -> dict[str, Any]:
    """An error as plain data, for the process that started this one.

    ``crash`` is the way through the user's own code where the error came up there, else ``None``.
    """
    crash = way_through_users_code(error)
    if isinstance(error, UsersCodeError):
        crash = error.traceback or crash
    return {
        "kind": type(error).__name__,
        "message": str(error) or repr(error),
        "wrong_use": isinstance(error, SigOptStrategyError) and not crash,
        "crash": crash,
    }


def worker_environment(*packages: ModuleType) -> dict[str, str]:
    """The worker's environment: it must find the packages that this process runs, wherever.

    Args:
        packages: Those that it needs besides this one.
    """
    files = [Path(package.__file__ or "") for package in (*packages, nc_sigopt_strategy)]
    roots = [str(file.resolve().parent.parent) for file in files]
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([*roots, *([inherited] if inherited else [])])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return environment
