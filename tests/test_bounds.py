"""What setup.cfg asks for: ``make test-oldest`` proves its lower bounds, upper ones are few."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
# Neural Compressor forces the first three; of the next major versions of the others we use what
# is no public interface.
BOUNDED_ABOVE = {"neural-compressor", "numpy", "setuptools", "optuna", "sigopt"}


def required() -> list[Requirement]:
    """What both distributions ask for, but for the tools that only tests use."""
    found = []
    for name in ("setup.cfg", "benchmarks/setup.cfg"):
        config = configparser.ConfigParser()
        config.read(ROOT / name)
        texts = [config["options"]["install_requires"]]
        texts += [
            text for extra, text in config["options.extras_require"].items() if extra != "test"
        ]
        lines = (line for text in texts for line in text.splitlines())
        found += [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [one for one in found if one.name != "nc_sigopt_strategy"]


def pinned() -> dict[str, Version]:
    lines = (ROOT / "constraints" / "oldest.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines)
    return {canonicalize_name(name): Version(version) for name, version in pairs}


@pytest.mark.parametrize("requirement", required(), ids=str)
def test_the_oldest_environment_has_the_lowest_version_allowed(requirement: Requirement) -> None:
    lower = [Version(one.version) for one in requirement.specifier if one.operator == ">="]
    if requirement.name == "setuptools":
        assert not lower
        return
    assert [pinned()[canonicalize_name(requirement.name)]] == lower


def test_only_what_something_forces_is_bounded_above() -> None:
    bounded = {one.name for one in required() if any(s.operator == "<" for s in one.specifier)}
    assert bounded == BOUNDED_ABOVE
