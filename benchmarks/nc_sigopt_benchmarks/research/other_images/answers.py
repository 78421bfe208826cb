"""Which images each configuration of a real model gets right; measured once and kept in a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.errors import DataError

Right = npt.NDArray[np.bool_]
# A configuration's labels to its output noise and which evaluation images it gets right.
Measure = Callable[[Sequence[str]], tuple[float, Right]]


@dataclass(frozen=True)
class Answers:
    """What one configuration makes of all evaluation images.

    Attributes:
        noise: Its output noise, 0 for FP32.
        right: Whether its highest output is the image's label, shape (images,).
    """

    noise: float
    right: Right


class AnswerBook:
    """Answers by configuration; what is not in the file yet is measured and added.

    Args:
        path: One JSON object a line. A last line that was cut off is measured again.
        measure: Measures a configuration.
        fp32: Which images FP32 gets right.

    Attributes:
        fp32: As given.
        measured: How many configurations were measured since it was opened.
    """

    def __init__(self, path: Path, measure: Measure, fp32: Right) -> None:
        self._measure, self.fp32 = measure, fp32
        self._known = dict(_read(path, len(fp32)))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream: TextIO = path.open("a", encoding="utf-8")
        self.measured = 0

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def of(self, labels: Sequence[str]) -> Answers:
        """What a configuration answers; measured if nobody asked before."""
        key = tuple(labels)
        found = self._known.get(key)
        if found is None:
            noise, right = self._measure(labels)
            found = self._known[key] = Answers(noise, right)
            self.measured += 1
            wrong = np.flatnonzero(~right).tolist()
            row = {"labels": list(key), "noise": noise, "images": len(right), "wrong": wrong}
            self._stream.write("\n" + json.dumps(row))
            self._stream.flush()
        return found

    def labels(self) -> list[tuple[str, ...]]:
        """The configurations that are in the file, in its order."""
        return list(self._known)


def read_book(path: Path) -> AnswerBook:
    """A file that is complete: nothing is measured.

    Raises:
        DataError: FP32 is not in it.
    """
    rows = _read(path, None)
    fp32 = [answers.right for labels, answers in rows if set(labels) == {"fp32"}]
    if not fp32:
        raise DataError(f"{path} has no answers of FP32.", "Run again with --play.")
    return AnswerBook(path, _not_measured, fp32[0])


def _not_measured(labels: Sequence[str]) -> tuple[float, Right]:
    raise DataError(f"There are no answers of {', '.join(labels)}.", "Run again with --play.")


def _read(path: Path, images: int | None) -> list[tuple[tuple[str, ...], Answers]]:
    rows = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in filter(None, lines):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if images is not None and row["images"] != images:
            continue
        right = np.ones(row["images"], bool)
        right[row["wrong"]] = False
        rows.append((tuple(row["labels"]), Answers(row["noise"], right)))
    return rows
