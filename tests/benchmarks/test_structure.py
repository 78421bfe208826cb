"""The script that measures the code base, on a package of which all figures are known."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "scripts" / "structure.py"
FILES = {
    "__init__.py": "from house.roof import slate\n",
    "roof/__init__.py": "",
    "roof/slate.py": "from typing import Any\n\ndef lay(self, a, b, *more, c=1) -> Any: ...\n",
    "roof/beams.py": "def f():\n    from ..walls import bricks\n",
    "walls/__init__.py": "",
    "walls/bricks.py": "import house.cellar\nfrom house.walls.mortar import mix\n",
    "walls/mortar.py": "mix = 1\n\nif 0:\n    from house.walls import bricks\n",
    "cellar.py": "",
}


@pytest.fixture(scope="module")
def structure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("structure", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["structure"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_rooms_floors_arrows_and_circles(structure: ModuleType, house: Path) -> None:
    found = structure.measured(house, ("house",))["house"]

    assert found["files"] == "8"
    assert found["files at the package's top"] == "2"
    assert found["rooms"] == "3"
    assert found["arrows between rooms"] == "2"  # roof to walls, walls to the cellar
    assert found["floors"] == "3"
    assert found["circles of rooms"] == "0"
    assert found["circles of files"] == "1 (walls.bricks, walls.mortar)"


def test_functions(structure: ModuleType, house: Path) -> None:
    found = structure.measured(house, ("house",))["house"]

    assert found["most parameters of a function"] == "4 (roof.slate.lay)"
    assert found["uses of Any"] == "1"


def test_a_block_that_stands_twice_counts_twice(structure: ModuleType, house: Path) -> None:
    block = "".join(f"x{i} = {i}\n" for i in range(6))
    (house / "house" / "cellar.py").write_text(block)
    (house / "house" / "walls" / "mortar.py").write_text(f"# a note\n{block}\nmix = 1\n")

    found = structure.measured(house, ("house",))["house"]

    assert found["duplicated blocks (6 lines or more)"] == "2"


def test_a_folder_that_is_not_there(structure: ModuleType, house: Path) -> None:
    with pytest.raises(SystemExit, match="attic is not a folder"):
        structure.measured(house, ("attic",))
