"""Packages that only the harness needs."""

from __future__ import annotations

from types import ModuleType

import nc_sigopt_strategy.errors

# Its extras are for what even a comparison can do without.
HARNESS = "nc_sigopt_benchmarks"


def needed(module: str, *, what: str = "This", extra: str | None = None) -> ModuleType:
    """Import a module that the harness needs.

    Args:
        module: Its dotted name.
        what: What needs it, as the subject of a sentence.
        extra: The harness's extra that installs it; ``None``: the harness always does.

    Raises:
        MissingExtraError: It is not installed.
    """
    requirement = HARNESS if extra is None else f"{HARNESS}[{extra}]"
    return nc_sigopt_strategy.errors.needed(module, requirement, what=what)
