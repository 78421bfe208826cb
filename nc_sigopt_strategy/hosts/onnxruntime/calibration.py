"""Ranges of a model's tensors: gathered once per sampling size, then looked up in every trial."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.backends.onnx_augmented import in_groups
from nc_sigopt_strategy.backends.onnx_files import digest_of_model
from nc_sigopt_strategy.hosts.calibration_usage import CalibrationUsage
from nc_sigopt_strategy.hosts.onnxruntime.range_methods import (
    MIN_MAX,
    TensorStatistics,
    range_of,
)
from nc_sigopt_strategy.hosts.onnxruntime.statistics import Feeds, gather
from nc_sigopt_strategy.hosts.statistics_store import Fits, Section, StatisticsStore

logger = logging.getLogger("nc_sigopt_strategy")

Doing = Callable[[str], None]
# Raised when the same data would give other statistics than before.
_VERSION = "1"


@dataclass
class Calibration:
    """The statistics of one prepared model.

    Args:
        model: The prepared ``ModelProto``.
        tensors: Name of each tensor that may get a range to about how many elements a batch gives
            it.
        feeds: Batches of so many inputs, by input name.
        folder: Keeps statistics for later runs; ``None``: they end with the process.
        digest: Of the calibration data; asked for once there is a folder.
        histograms: Whether histograms are gathered in the first pass, because they will be asked
            for.

    Attributes:
        usage: How often statistics served.
        doing: Told in a few words what takes long.
    """

    model: Any
    tensors: Mapping[str, int]
    feeds: Callable[[int], Feeds]
    folder: Path | None
    digest: Callable[[], str | None]
    histograms: bool
    usage: CalibrationUsage = field(default_factory=CalibrationUsage)
    doing: Doing = field(default=lambda what: None)
    _store: StatisticsStore | None = None
    _sections: dict[int, Section] = field(default_factory=dict)
    _ranges: dict[tuple[int, str, str], tuple[float, float]] = field(default_factory=dict)

    def without_range(self, size: int) -> frozenset[str]:
        """Tensors that never held a finite value, so that nothing is known of them.

        Args:
            size: How many inputs calibrate.

        Raises:
            DataError: The calibration data cannot be used.
        """
        section = self._section(size, histograms=False)
        return frozenset(name for name in self.tensors if not len(section[_extremes_key(name)]))

    def kept(self, size: int) -> Section:
        """Where what is found of the data may be kept as well; it has its ranges.

        Args:
            size: How many inputs calibrate.

        Raises:
            DataError: The calibration data cannot be used.
        """
        return self._section(size, histograms=False)

    def at_once(self, tensors: Iterable[str]) -> list[list[str]]:
        """Tensors in groups that fit into memory together."""
        return in_groups({name: self.tensors.get(name, 0) for name in tensors})

    def ranges(self, methods: Mapping[str, str], size: int) -> dict[str, tuple[float, float]]:
        """Tensor to its limits.

        Args:
            methods: Tensor to one of ``range_methods.METHODS``; each has a range.
            size: How many inputs calibrate.

        Raises:
            DataError: The calibration data cannot be used.
        """
        section = self._section(size, histograms=any(m != MIN_MAX for m in methods.values()))
        found = {}
        for name, method in methods.items():
            key = (size, name, method)
            if key not in self._ranges:
                self._ranges[key] = range_of(_statistics(section, name), method)
            found[name] = self._ranges[key]
        return found

    def _section(self, size: int, *, histograms: bool) -> Section:
        if size not in self._sections:
            self._sections[size] = self._new_section(size)
        section = self._sections[size]
        wanted = [_extremes_key(name) for name in self.tensors]
        if histograms or (self.histograms and section.missing(wanted)):
            histograms = True
            wanted += [_counts_key(name) for name in self.tensors]
        if section.missing(wanted):
            self._gather(section, size, histograms=histograms)
        return section

    def _new_section(self, size: int) -> Section:
        if self._store is None:
            digest = self.digest() if self.folder is not None else None
            self._store = StatisticsStore(self.folder, digest)
        section = self._store.section(
            self.feeds,
            digest_of_model(self.model),
            f"{size} inputs",
            f"onnxruntime {onnxruntime.__version__}",
            f"statistics {_VERSION}",
        )
        section.expect(dict(_forms(self.tensors, section)))
        return section

    def _gather(self, section: Section, size: int, *, histograms: bool) -> None:
        begun = time.monotonic()
        what = "ranges and histograms" if histograms else "ranges"
        logger.info("Calibrating: %s of %d tensors.", what, len(self.tensors))
        found = gather(
            self.model,
            self.tensors,
            self.feeds(size),
            histograms=histograms,
            counted=lambda done: self.doing(f"calibrating, batch {done}"),
        )
        section.add(dict(_arrays(self.tensors, found, histograms=histograms)))
        self.usage.passes += 1
        self.usage.seconds += time.monotonic() - begun


def _arrays(
    tensors: Mapping[str, int], found: Mapping[str, TensorStatistics], *, histograms: bool
) -> Iterator[tuple[str, Array]]:
    for name in tensors:
        known = found.get(name)
        yield _extremes_key(name), np.array([] if known is None else [known.low, known.high])
        if histograms:
            counts = np.zeros(0) if known is None else known.counts
            yield _counts_key(name), counts
            ends = np.zeros(0) if known is None or not len(counts) else known.edges[[0, -1]]
            yield _edges_key(name), ends


def _forms(tensors: Iterable[str], section: Section) -> Iterator[tuple[str, Fits]]:
    """What ``_arrays`` can have written, for a file that somebody else may have."""
    for name in tensors:
        yield _extremes_key(name), _are_ends
        yield _edges_key(name), _are_ends
        yield _counts_key(name), functools.partial(_are_counts, section, _edges_key(name))


def _are_ends(array: Array) -> bool:
    if array.dtype.kind != "f" or array.shape not in ((0,), (2,)):
        return False
    return bool(np.isfinite(array).all() and (np.diff(array) >= 0).all())


def _are_counts(section: Section, edges: str, array: Array) -> bool:
    if array.dtype.kind not in "iuf" or array.ndim != 1 or edges not in section:
        return False
    has_edges = len(section[edges]) > 0
    return bool(has_edges == (array.size > 0) and np.isfinite(array).all() and (array >= 0).all())


def _statistics(section: Section, name: str) -> TensorStatistics:
    low, high = (float(end) for end in section[_extremes_key(name)])
    counts = edges = np.zeros(0)
    if _counts_key(name) in section and len(section[_counts_key(name)]):
        counts = section[_counts_key(name)]
        first, last = section[_edges_key(name)]
        edges = np.linspace(first, last, len(counts) + 1)
    return TensorStatistics(low, high, counts, edges)


def _extremes_key(name: str) -> str:
    return f"extremes {name}"


def _counts_key(name: str) -> str:
    return f"counts {name}"


def _edges_key(name: str) -> str:
    return f"edges {name}"
