"""The harness's distribution: setup.cfg says what it is, here configs/ is put into its wheel.

The run configurations stay at the top of the checkout, where people look for them. An editable
installation reads them there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
# A source distribution holds a copy of its own.
CONFIGS = next(
    (folder for folder in (HERE / "configs", HERE.parent / "configs") if folder.is_dir()), None
)


def copy_configs(to: Path) -> None:
    """Copy all run configurations into a folder.

    Raises:
        FileNotFoundError: They are not at hand: half a wheel would be made.
    """
    if CONFIGS is None:
        raise FileNotFoundError(f"There is no folder configs in {HERE} nor beside it.")
    to.mkdir(parents=True, exist_ok=True)
    for path in sorted(CONFIGS.glob("*.yaml")):
        shutil.copyfile(path, to / path.name)


class BuildWithConfigs(build_py):
    """Puts them beside the modules, unless these stay where they are."""

    def run(self) -> None:
        """Build as ever, then copy."""
        super().run()
        if not self.editable_mode:
            copy_configs(Path(self.build_lib) / "nc_sigopt_benchmarks" / "configs")


class SourceWithConfigs(sdist):
    """Puts them into the source distribution, which has no checkout around it."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Make the tree as ever, then copy."""
        super().make_release_tree(base_dir, files)
        copy_configs(Path(base_dir) / "configs")


setup(cmdclass={"build_py": BuildWithConfigs, "sdist": SourceWithConfigs})
