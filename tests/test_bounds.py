"""What setup.cfg asks for: ``make test-oldest`` proves its lower bounds, upper ones are few."""

from __future__ import annotations

import configparser
from collections.abc import Set
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
# Neural Compressor forces the first four; of the next major versions of the next two we use what
# is no public interface; RapidOCR's package holds its models in the first major version only.
BOUNDED_ABOVE = {
    *("neural-compressor", "numpy", "setuptools", "pyarrow", "optuna", "sigopt"),
    "rapidocr-onnxruntime",
}
ONLY_FOR_TESTS = {"test", "test-tools"}
# OpenVINO and PyTorch need numpy of another age, Neural Compressor from 3.8 on does not go with an
# earlier one; weights are not tried in several versions.
NOT_IN_THE_OLDEST = {"openvino", "inc3", "torch", "models"}


def required(leave_out: Set[str] = ONLY_FOR_TESTS) -> list[Requirement]:
    """What both distributions ask for, but for some extras."""
    found = []
    for name in ("setup.cfg", "benchmarks/setup.cfg"):
        config = configparser.ConfigParser()
        config.read(ROOT / name)
        texts = [config["options"]["install_requires"]]
        texts += [
            text
            for extra, text in config["options.extras_require"].items()
            if extra not in leave_out
        ]
        lines = (line for text in texts for line in text.splitlines())
        found += [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [one for one in found if one.name != "nc_sigopt_strategy"]


def pinned() -> dict[str, Version]:
    lines = (ROOT / "constraints" / "oldest.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines)
    return {canonicalize_name(name): Version(version) for name, version in pairs}


@pytest.mark.parametrize("requirement", required(ONLY_FOR_TESTS | NOT_IN_THE_OLDEST), ids=str)
def test_the_oldest_environment_has_the_lowest_version_allowed(requirement: Requirement) -> None:
    lower = [Version(one.version) for one in requirement.specifier if one.operator == ">="]
    if not lower:
        # An extra's upper bound, beside the lower one that all installations have.
        assert requirement.name in ("setuptools", "numpy")
        return
    assert [pinned()[canonicalize_name(requirement.name)]] == lower


def test_only_what_something_forces_is_bounded_above() -> None:
    bounded = {one.name for one in required() if any(s.operator == "<" for s in one.specifier)}
    assert bounded == BOUNDED_ABOVE
