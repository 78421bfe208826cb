"""Every error that a user can meet, under one root.

Each is built from a fact (what was received, what happened) and a hint (the way out), so that
the message always holds both and neither ever holds a secret.
"""

from __future__ import annotations

import importlib
import re
from types import ModuleType

# Enough for what a framework says of one error, short enough for a table and a log line.
_LONGEST = 600
# Of a text beyond this only both ends are looked at.
_LOOKED_AT = 100_000
_LONGEST_VALUE = 200
# Lines of a message that say where in somebody's source it was, not what.
_PLACES = re.compile(r'^(Traceback |File "|\[\[\{\{node|Stack trace|-{3,}|={3,}|\^+$|~+)')


class SigOptStrategyError(Exception):
    """Root of all errors that this package raises on purpose.

    Args:
        fact: What happened, with the value received.
        hint: What the user can do about it; empty when there is nothing to do.
    """

    def __init__(self, fact: str, hint: str = "") -> None:
        self.fact = fact
        self.hint = hint
        super().__init__(f"{fact} {hint}".strip())


class SettingsError(SigOptStrategyError, ValueError):
    """A key or a value in ``strategy_kwargs`` cannot be used.

    Attributes:
        key: The one, as it was given; ``None`` where it is none, or more than one.
    """

    key: object = None


class UnsupportedVersionError(SigOptStrategyError, ImportError):
    """The installed Neural Compressor or Optuna is one that we cannot plug into."""


class ServerError(SigOptStrategyError):
    """The SigOpt server cannot be reached, refuses the token, or answers nonsense."""


class ExperimentError(SigOptStrategyError):
    """An experiment cannot be created, found or continued."""


class SuggestionLostError(ExperimentError):
    """Another worker has taken over the suggestion that this one is measuring."""


class StoreError(SigOptStrategyError):
    """The embedded engine's store cannot be opened or written."""


class StoreGoneError(StoreError):
    """The file of an open store was deleted or replaced, so what is written to it is lost."""


class StoreAwayError(StoreError):
    """The store's database server does not answer or lets nobody in; it may do so again later."""


class StoreBusyError(StoreError):
    """Another process holds what is needed in the store; it may be free again in a moment."""


class ConfigFileError(SigOptStrategyError, ValueError):
    """A YAML run configuration is wrong; the message names file, key and line."""


class ModelError(SigOptStrategyError):
    """A model cannot be found, loaded or quantized."""


class DataError(SigOptStrategyError):
    """A data set is missing, incomplete, of the wrong shape or can be read only once."""


class UsersCodeError(DataError):
    """The user's own code failed.

    Args:
        message: What failed.
        hint: The way out.
        traceback: The way through the user's code, as Python shows tracebacks.
    """

    def __init__(self, message: str, hint: str = "", *, traceback: str = "") -> None:
        super().__init__(message, hint)
        self.traceback = traceback


class ReportError(SigOptStrategyError):
    """There is no run to report on, or its files cannot be read."""


class TrialError(SigOptStrategyError):
    """One trial went wrong; tuning goes on with the next suggestion."""


class MissingExtraError(SigOptStrategyError, ImportError):
    """A feature needs a package of one of our extras."""


def missing(
    error: ImportError, requirement: str, *, what: str = "This", module: str = "a package"
) -> MissingExtraError:
    """What to raise where a package is missing that not everybody needs.

    Args:
        error: How importing it failed.
        requirement: What pip has to install, such as ``nc_sigopt_strategy[ray]``.
        what: What needs it, as the subject of a sentence.
        module: Its name, for an error that does not say it.
    """
    return MissingExtraError(
        f"{what} needs {error.name or module}, which cannot be imported: {error}.",
        f"Install it with: pip install '{requirement}'",
    )


def needed(module: str, requirement: str, *, what: str = "This") -> ModuleType:
    """Import a module that not everybody needs; arguments as for ``missing``.

    Raises:
        MissingExtraError: It is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing(error, requirement, what=what, module=module) from error


def in_one_line(error: BaseException | str) -> str:
    """A message of several lines as one that can be read; what says something stays.

    The first line of a framework's message is often the least useful: ONNX Runtime names axis,
    got and expected on the second, TensorFlow puts the reason behind a list of source lines.

    Args:
        error: An exception, or its text.
    """
    lines: list[str] = []
    text = shortened(error if isinstance(error, str) else text_of(error), _LOOKED_AT)
    for raw in text.splitlines():
        line = visible(" ".join(raw.split()))
        if line and not _PLACES.match(line) and line not in lines:
            lines.append(line)
    text = ""
    for line in lines:
        between = "" if not text else " " if text[-1] in ".:;,!?" else "; "
        text += between + line
    return shortened(text, _LONGEST)


def shortened(text: str, longest: int) -> str:
    """Where a long text begins and how it ends; the middle is a list of something.

    Args:
        text: Any text.
        longest: How many characters remain of it, and five more.
    """
    if len(text) <= longest:
        return text
    return f"{text[: longest * 2 // 3].rstrip()} ... {text[-(longest // 3) :].lstrip()}"


def text_of(error: BaseException) -> str:
    """``str(error)``, which is the code of whoever wrote its class, and may fail."""
    try:
        return str(error)
    except Exception as problem:
        return f"(it cannot say why: its own __str__ raised {type(problem).__name__})"


def shown(value: object) -> str:
    """``repr(value)`` for a message: in one line that can be read, and whatever it raises."""
    try:
        text = repr(value)
    except Exception as problem:
        text = f"a {type(value).__name__} whose __repr__ raised {type(problem).__name__}"
    return visible(shortened(" ".join(shortened(text, _LOOKED_AT).split()), _LONGEST_VALUE))


def visible(text: str) -> str:
    """A text in one line whose characters can all be seen.

    A file's name or what a client sends may hold control characters, which move a terminal's
    cursor or begin a new line, and bytes that are no UTF-8, which no stream takes.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def named(error: BaseException) -> str:
    """``in_one_line`` with the exception's class in front, in words for an exit."""
    if isinstance(error, SystemExit):
        return f"The code that was called ended the process: exit({error.code!r})"
    said = in_one_line(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
