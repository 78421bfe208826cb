"""The rooms of the house: a room imports only rooms that stand below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the top floor down. What a room may import stands behind it.
PRODUCT = (
    "cli",
    "cluster",
    "jobs",
    "autotuning",
    "hosts",
    "testing",
    "tuning",
    "reports",
    "winners",
    "console",
    "transfer",
    "experiments",
    "server",
    "client",
    "measurement",
    "engine",
    "backends",
    "results",
    "sampling",
    "settings",
    "space",
    "example",
    "files",
    "errors",
    "version",
)
HARNESS = (
    "commands",
    "comparing",
    "reporting",
    "judging",
    "research",
    "running",
    "datasets",
    "models",
    "runtimes",
    "config",
    "machine",
    "extras",
    "version",
)
PACKAGES = {
    "nc_sigopt_strategy": (ROOT / "nc_sigopt_strategy", PRODUCT),
    "nc_sigopt_benchmarks": (ROOT / "benchmarks" / "nc_sigopt_benchmarks", HARNESS),
}
FILES = [
    (package, path)
    for package, (folder, _) in PACKAGES.items()
    for path in sorted(folder.rglob("*.py"))
]


def imported(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, also inside of functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize(
    ("package", "path"), FILES, ids=[str(path.relative_to(ROOT)) for _, path in FILES]
)
def test_imports_point_down(package: str, path: Path) -> None:
    folder, rooms = PACKAGES[package]
    room = path.relative_to(folder).parts[0].removesuffix(".py")
    if room == "__init__":
        return
    assert room in rooms, f"{room} is no room of the house"
    for name in imported(path):
        top, *inner = name.split(".")
        if top != package or not inner:
            continue
        assert inner[0] == room or rooms.index(inner[0]) > rooms.index(room), (
            f"{path.relative_to(ROOT)} imports {name}, which does not stand below {room}"
        )


@pytest.mark.parametrize("path", sorted((ROOT / "nc_sigopt_strategy").rglob("*.py")), ids=str)
def test_the_product_does_not_know_the_harness(path: Path) -> None:
    assert "nc_sigopt_benchmarks" not in path.read_text(encoding="utf-8")


def test_nothing_else_lies_at_the_top() -> None:
    for folder, rooms in PACKAGES.values():
        found = {
            path.name.removesuffix(".py")
            for path in folder.iterdir()
            if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        assert found - {"__init__"} <= set(rooms)
