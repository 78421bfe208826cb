"""Things that are given as models and are none: what to give instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.hosts.model_kind import kind_of_model


class Net:
    """Stands for somebody's module."""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Net, r"The class Net was given.*Net\(\.\.\.\)"),
        ({"fc.weight": np.zeros(3)}, r"A dict of weights.*load_state_dict"),
        ({"net": 1}, "A dict is no model that can be tuned"),
        (print, "no model that can be tuned"),
    ],
    ids=["class", "weights", "dict", "function"],
)
def test_what_is_no_model(given: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        kind_of_model(given)


@pytest.mark.parametrize("suffix", [".pt", ".PTH", ".ckpt", ".bin", ".safetensors"])
def test_pytorchs_own_files_say_how_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    path.touch()
    with pytest.raises(ModelError, match=r"nc-sigopt tune FILE\.py.*\.pt2"):
        kind_of_model(path)


def test_a_file_of_no_kind(tmp_path: Path) -> None:
    path = tmp_path / "net.txt"
    path.touch()
    with pytest.raises(ModelError, match="of no kind of model"):
        kind_of_model(path)
