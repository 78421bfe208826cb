"""Which packages an environment lacks, in one line that says how to install them."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from nc_sigopt_benchmarks.config.rivals import REQUIREMENTS

_PROGRAM = (
    "import importlib.util, json, sys; "
    "print(json.dumps([m for m in sys.argv[1:] if importlib.util.find_spec(m) is None]))"
)
_SECONDS = 60


def lacking(modules: Sequence[str], python: Path | None = None) -> str | None:
    """Why code that imports some modules cannot run, as a line; ``None`` if it can.

    Args:
        modules: Top-level names.
        python: Of the environment; ``None``: this one.
    """
    if python is None:
        absent = [module for module in modules if find_spec(module) is None]
        pip = "pip"
    else:
        found = _absent_in(str(python), tuple(modules))
        if isinstance(found, str):
            return found
        absent, pip = list(found), f"{python} -m pip"
    if not absent:
        return None
    packages = " ".join(REQUIREMENTS.get(module, module) for module in absent)
    return f"not installed: {pip} install {packages}"


@functools.cache
def _absent_in(python: str, modules: tuple[str, ...]) -> tuple[str, ...] | str:
    try:
        done = subprocess.run(
            [python, "-c", _PROGRAM, *modules],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        return tuple(json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"its environment {python} is no Python that starts: {error}"
