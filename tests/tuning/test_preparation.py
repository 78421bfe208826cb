"""What a run is known by when somebody wants to continue it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.tuning.preparation import identity_of, prepare


def known_by(folder: Path, backend: str, **settings: Any) -> dict[str, str]:
    host = FakeHost()
    host.backend.name = backend
    return identity_of(prepare(host, Settings(**settings), folder=folder, seed=0)).fingerprints()


@pytest.mark.parametrize(
    ("backend", "settings", "named"),
    [
        ("tensorflow", {}, {"finishing": "on", "calibration": "fitted"}),
        # As in stores from before there were these.
        ("tensorflow", {"finishing": "off", "calibration": "exact"}, {}),
        ("tensorflow", {"calibration": "stock"}, {"finishing": "on"}),
        ("onnxruntime", {}, {}),
        ("onnxruntime", {"activation_type": "int8"}, {"activation_type": "int8"}),
    ],
)
def test_settings_that_decide_which_model_a_choice_gives(
    tmp_path: Path, backend: str, settings: dict[str, str], named: dict[str, str]
) -> None:
    found = known_by(tmp_path, backend, **settings)
    asked = ("finishing", "calibration", "activation_type")
    assert {key: found[key] for key in asked if key in found} == named
