"""Where the landscapes of a race come from: a family drawn by a seed, or a file."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.landscapes.synthetic import FAMILIES, synthetic_landscape
from nc_sigopt_strategy.errors import SettingsError

# Landscape files that the harness ships.
SHIPPED = Path(__file__).resolve().parents[1] / "landscapes" / "data"
_RECORDED = "nc_sigopt_benchmarks.research.landscapes.recorded"
_KEPT_INSTANCES = 16


@dataclass(frozen=True)
class Source:
    """A family, or a recorded file at one batch size.

    Attributes:
        family: A key of ``FAMILIES``; "" for a file.
        path: The file; ``None`` for a family.
        batch_size: Of the file's latencies; ``None`` takes the file's first.
    """

    family: str = ""
    path: Path | None = None
    batch_size: int | None = None

    @property
    def key(self) -> str:
        """What tells it from others in a race's results."""
        if self.path is None:
            return self.family
        return f"{self.path.name}:{self.batch_size}" if self.batch_size else self.path.name

    def load(self, seed: int, images: int) -> Landscape:
        """The landscape: the family's instance of this seed, or the file's only one.

        Args:
            seed: Draws the instance.
            images: How many images a family's accuracies are measured on; a file has its own.
        """
        if self.path is None:
            return _instance(self.family, seed, images)
        return _recorded(self.path, self.batch_size)


def families(names: Sequence[str]) -> tuple[Source, ...]:
    """Sources of these families; all of them if none is named.

    Raises:
        SettingsError: A name is no family's.
    """
    for name in names:
        if name not in FAMILIES:
            raise SettingsError(
                f"There is no family {name!r}.", f"Choose from {', '.join(FAMILIES)}, or none."
            )
    return tuple(Source(name) for name in dict.fromkeys(names or FAMILIES))


def files(names: Sequence[str]) -> tuple[Source, ...]:
    """Sources of ``FILE.jsonl`` or ``FILE.jsonl:BATCH``.

    Raises:
        SettingsError: There is no such file, or the batch size is no number.
    """
    sources = []
    for name in names:
        path, _, batch = name.rpartition(":") if ".jsonl:" in name else (name, "", "")
        if not Path(path).is_file():
            raise SettingsError(
                f"There is no landscape file {path}.", "nc-sigopt record makes one."
            )
        if batch and not (batch.isdigit() and int(batch)):
            raise SettingsError(
                f"{name!r} ends with {batch!r}, which is no batch size.",
                "Write FILE.jsonl or FILE.jsonl:BATCH with a number above 0.",
            )
        sources.append(Source(path=Path(path).resolve(), batch_size=int(batch) if batch else None))
    different = tuple(dict.fromkeys(sources))
    keys = [source.key for source in different]
    if len(set(keys)) < len(keys):
        raise SettingsError(
            f"Two landscape files have the same name: {', '.join(keys)}.",
            "Race them in separate calls, or rename one.",
        )
    return different


def shipped() -> tuple[Source, ...]:
    """Every landscape file that the harness ships, at each of its batch sizes."""
    if importlib.util.find_spec(_RECORDED) is None:
        return ()
    sources: list[Source] = []
    for path in sorted(SHIPPED.glob("*.jsonl")):
        sources.extend(Source(path=path, batch_size=size) for size in _batch_sizes(path))
    return tuple(sources)


def _batch_sizes(path: Path) -> tuple[int, ...]:
    from nc_sigopt_benchmarks.research.landscapes.landscape_file import read_landscape_file

    return tuple(int(size) for size in read_landscape_file(path).header["batch_sizes"])


@functools.lru_cache(_KEPT_INSTANCES)
def _instance(family: str, seed: int, images: int) -> Landscape:
    return synthetic_landscape(family, seed, images)


@functools.lru_cache(_KEPT_INSTANCES)
def _recorded(path: Path, batch_size: int | None) -> Landscape:
    size = batch_size or _batch_sizes(path)[0]
    landscape: Landscape = importlib.import_module(_RECORDED).recorded_landscape(path, size)
    return landscape
