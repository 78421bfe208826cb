"""Whether an error is of the user's own code, and where in it."""

from __future__ import annotations

import os
import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path

from nc_sigopt_strategy.errors import shortened, visible

# Who calls the user's functions, and who runs the model: what fails in these says nothing of the
# user's own code, even if that called them.
_MODELS = frozenset(
    {"neural_compressor", "nc_sigopt_strategy", "tensorflow", "keras", "onnxruntime", "onnx"}
)
# What is typed in has no file.
_TYPED = ("<stdin>", "<string>", "<ipython", "<cell", "<python-input")
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_LIBRARY = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib")
)
# Characters of a traceback, whose last line may be anything.
_LONGEST = 10_000
_ours = {str(Path(__file__).resolve().parents[1])}


def count_as_ours(package: Path) -> None:
    """What fails in a program that stands on this package is no failure of its user's code.

    Args:
        package: Folder of the program's package.
    """
    _ours.add(str(package.resolve()))


@dataclass(frozen=True)
class Place:
    """A line of the user's code in which an error came up.

    Attributes:
        file: Its file.
        line: Number of the line.
        function: Name of the function.
        kind: Class of the exception.
        lines: The traceback from the first line of the user's on, ready to be logged.
    """

    file: str
    line: int
    function: str
    kind: str
    lines: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, in {self.function}"

    def is_same(self, other: Place | None) -> bool:
        """Whether another error came up in the same line and is of the same class."""
        return other is not None and (self.file, self.line, self.kind) == (
            other.file,
            other.line,
            other.kind,
        )


def place_in_users_code(error: BaseException) -> Place | None:
    """Where in the user's own code an error came up.

    Libraries that the user's code called are passed over, but not those that own or run models:
    an error that came up in one of these is not the user's.

    Args:
        error: As it was caught; what it was raised from is looked at first.

    Returns:
        ``None`` if it is not of the user's code.
    """
    chain = [error]
    while chain[-1].__cause__ is not None and chain[-1].__cause__ not in chain:
        chain.append(chain[-1].__cause__)
    for cause in reversed(chain):
        frames = traceback.extract_tb(cause.__traceback__)
        owners = [_owner(frame.filename) for frame in frames]
        for position in range(len(frames) - 1, -1, -1):
            if owners[position] == "models":
                break
            if owners[position] == "user":
                return _place(cause, frames, owners, position)
    return None


def _place(
    error: BaseException, frames: traceback.StackSummary, owners: list[str], position: int
) -> Place:
    first = position
    while first > 0 and owners[first - 1] != "models":
        first -= 1
    shown = [
        *traceback.format_list(list(frames)[first:]),
        *traceback.format_exception_only(type(error), error),
    ]
    lines = map(visible, shortened("".join(shown), _LONGEST).splitlines())
    frame = frames[position]
    return Place(
        frame.filename,
        frame.lineno or 0,
        frame.name,
        type(error).__name__,
        "".join(f"{line}\n" for line in lines),
    )


def _owner(filename: str) -> str:
    """``models``, ``library`` or ``user``."""
    if filename.startswith("<"):
        return "user" if filename.startswith(_TYPED) else "library"
    parts = Path(filename).parts
    for position, part in enumerate(parts[:-1]):
        if part in _INSTALLED:
            return "models" if parts[position + 1] in _MODELS else "library"
    path = str(Path(filename).resolve())
    if any(_is_below(path, folder) for folder in _ours):
        return "models"
    return "library" if any(_is_below(path, folder) for folder in _LIBRARY) else "user"


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
