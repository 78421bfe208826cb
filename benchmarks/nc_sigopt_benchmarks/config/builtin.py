"""The run configurations that come with the harness, by name."""

from __future__ import annotations

from pathlib import Path

_SUFFIX = ".yaml"
_PACKAGE = Path(__file__).parents[1]
# Put there when the wheel is built; a checkout has them at its top, where they are kept.
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parents[1] / "configs")


def builtin_names() -> list[str]:
    """Names of the built-in configurations, in alphabetical order."""
    return sorted(path.stem for path in _folder().glob(f"*{_SUFFIX}"))


def named_config(path: Path) -> Path:
    """The file that a command line names.

    Args:
        path: Of a YAML file, which wins if it is there, or the name of a built-in one.
    """
    if path.exists() or str(path) not in builtin_names():
        return path
    return _folder() / f"{path}{_SUFFIX}"


def _folder() -> Path:
    return next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])
