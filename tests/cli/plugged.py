"""Packages that plug into ``nc-sigopt``, as pip would leave them; and what it is without any."""

from __future__ import annotations

from pathlib import Path

# Put before a program: no package is there that plugs anything in, the harness neither.
WITHOUT_HARNESS = """
import importlib.metadata, sys
all_entry_points = importlib.metadata.entry_points
importlib.metadata.entry_points = lambda **chosen: (
    () if str(chosen.get("group", "")).startswith("nc_sigopt.") else all_entry_points(**chosen)
)
sys.modules["nc_sigopt_benchmarks"] = None
"""


def plug_in(folder: Path, entry_points: str, name: str = "plugged") -> None:
    """Write what pip keeps of an installed package with these entry points."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)
