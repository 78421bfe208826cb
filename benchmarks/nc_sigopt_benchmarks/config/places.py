"""Where in a file a key stands, for complaints about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import ConfigFileError

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Places:
    """The places of the keys of a YAML file.

    Attributes:
        path: Of the file.
        lines: Its tree with line numbers, as ruamel.yaml's round-trip loader gives it.
    """

    path: Path
    lines: Any

    def line_of(self, key: KeyPath) -> int:
        """Line of a key, from 1; of the innermost part of the path that is there, if it is not."""
        line, node = 0, self.lines
        for part in key:
            try:
                line = (node.lc.item(part) if isinstance(part, int) else node.lc.key(part))[0]
                node = node[part]
            except (AttributeError, KeyError, IndexError, TypeError):
                break
        return line + 1

    def wrong(self, key: KeyPath, fact: str, hint: str) -> ConfigFileError:
        """The complaint about a key, to be raised.

        Args:
            key: Its path.
            fact: What is wrong, as what follows the key in a sentence without its full stop.
            hint: The way out.
        """
        dotted = ".".join(map(_shown, key)) or "the file"
        return ConfigFileError(f"{self.path}, line {self.line_of(key)}: {dotted} {fact}.", hint)


def _shown(part: object) -> str:
    """A part of a key. Behind a colon without its space stands a value, which may be a token."""
    name, colon, value = str(part).partition(":")
    return f"{name}{colon}..." if value else f"{name}{colon}"
