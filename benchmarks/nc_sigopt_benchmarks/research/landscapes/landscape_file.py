"""The file of a recorded landscape: JSON Lines, a header first, then a row per configuration.

Between the rows there may be profiles of whole models. Lines are written one by one, so a
recording that was cut off goes on where it was; a line that was only half written is dropped.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from nc_sigopt_benchmarks.research.landscapes import profiles as of_whole_models
from nc_sigopt_benchmarks.research.landscapes.profiles import Labels, RecordedProfile
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.settings.choices import EXACT, UNFINISHED

FORMAT = 2
KIND = "landscape"
# Without profiles, and without a word on how models are made: there was one way then.
_FIRST_FORMAT = 1
_FIRST_MAKING = {"calibration": EXACT, "finishing": UNFINISHED}
# What makes rows comparable. Latencies are ratios, yet on another CPU they are other ratios.
_MUST_MATCH = (
    "format", "kind", "model", "weights", "framework", "parameters", "default", "images",
    "batch_sizes", "baseline_accuracy", "seed", "cpu", "making",
)  # fmt: skip
# What makes and runs the models of any framework, and of one; other packages change nothing.
_MAKE_MODELS = ("nc_sigopt_strategy", "neural-compressor")
_OF_FRAMEWORK = {
    "tensorflow": ("tensorflow", "tensorflow-cpu", "intel-tensorflow", "keras"),
    "onnxruntime": ("onnxruntime", "onnx"),
}


@dataclass(frozen=True)
class RecordedLatency:
    """Latency at one batch size.

    Attributes:
        ratio: Over the default int8 model's, paired.
        stderr: Standard error of ``ratio``.
        reference_seconds: Median of the default int8 model's times in the same rounds.
    """

    ratio: float
    stderr: float
    reference_seconds: float


@dataclass(frozen=True)
class LandscapeRow:
    """One configuration and what was measured of it.

    Attributes:
        origin: Why it is there, for instance ``single fallback fp32: conv1``.
        labels: One per parameter, in the header's order.
        accuracy: ``None`` where it was not evaluated.
        output_noise: See ``nc_sigopt_strategy.measurement.output_noise``.
        latency: Batch size to latency; empty where it was recorded without.
        seconds: How long all of it took.
        failure: Why there are no figures; ``None`` where there are.
    """

    origin: str
    labels: Labels
    accuracy: float | None = None
    output_noise: float | None = None
    latency: Mapping[int, RecordedLatency] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data; keys without a value are left out."""
        plain = dataclasses.asdict(self)
        plain["labels"] = list(self.labels)
        plain["latency"] = {
            str(size): dataclasses.asdict(latency) for size, latency in self.latency.items()
        }
        if self.failure is None:
            del plain["failure"]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> LandscapeRow:
        """The inverse of ``to_json``."""
        latency = {int(size): RecordedLatency(**raw) for size, raw in plain["latency"].items()}
        return cls(**{**plain, "labels": tuple(plain["labels"]), "latency": latency})


@dataclass(frozen=True)
class RecordedFile:
    """A landscape file as read: the header as plain data, the rows, and profiles."""

    header: dict[str, Any]
    rows: tuple[LandscapeRow, ...]
    profiles: tuple[RecordedProfile, ...] = ()

    @property
    def parameters(self) -> dict[str, Labels]:
        """Parameter name to its values, in graph order."""
        return {p["name"]: tuple(p["values"]) for p in self.header["parameters"]}


def read_landscape_file(path: Path) -> RecordedFile:
    """Read a file; a half-written last line is left out.

    A file of the first format, which knew no profiles, is read as one of today's without any.

    Raises:
        DataError: There is no such file, or it is not a landscape of this format.
    """
    if not path.is_file():
        raise DataError(f"There is no landscape file {path}.", "nc-sigopt record makes one.")
    lines = _whole_lines(path.read_bytes())
    try:
        header = json.loads(lines[0]) if lines else {}
        kind = (header.get("kind"), header.get("format"))
        plain = [json.loads(line) for line in lines[1:]]
        rows = tuple(LandscapeRow.from_json(one) for one in plain if not _is_profile(one))
        profiles = tuple(RecordedProfile.from_json(one) for one in plain if _is_profile(one))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path} cannot be read as a landscape: {error}.", "Record it again into a new file."
        ) from error
    if kind == (KIND, _FIRST_FORMAT):
        header = {**header, "format": FORMAT, "making": _FIRST_MAKING}
    elif kind != (KIND, FORMAT):
        raise DataError(
            f"{path} begins with kind {kind[0]!r}, format {kind[1]!r}, not with the header of a "
            f"landscape of format {FORMAT}.",
            "nc-sigopt record makes one.",
        )
    return RecordedFile(header, rows, profiles)


def _is_profile(plain: Mapping[str, Any]) -> bool:
    return plain.get("kind") == of_whole_models.KIND


class LandscapeWriter:
    """Appends rows to a file, each of them on disk before the next; a context manager.

    Args:
        path: Created if it is not there.
        header: What a new file begins with, and what an old one must have begun with.

    Raises:
        DataError: The file has another header, or is no landscape.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self._rows: list[LandscapeRow] = []
        self._profiles: list[RecordedProfile] = []
        self.header = dict(header)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole:
            old = read_landscape_file(path)
            _refuse_another(path, old.header, header)
            self._rows, self._profiles = list(old.rows), list(old.profiles)
            self.header = old.header
            if json.loads(_whole_lines(whole)[0]) != self.header:
                content = whole = _line(self.header) + whole[whole.index(b"\n") + 1 :]
                write_whole(path, whole)
        self._stream: IO[bytes] = path.open("r+b" if content else "w+b")
        self._stream.truncate(len(whole))
        self._stream.seek(len(whole))
        if not whole:
            self._write(header)

    def __enter__(self) -> LandscapeWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    @property
    def rows(self) -> tuple[LandscapeRow, ...]:
        """All rows, those of earlier runs first."""
        return tuple(self._rows)

    @property
    def profiles(self) -> tuple[RecordedProfile, ...]:
        """All profiles, those of earlier runs first."""
        return tuple(self._profiles)

    def has(self, labels: Labels) -> bool:
        """Whether there is a row of these labels."""
        return any(row.labels == labels for row in self._rows)

    def add(self, row: LandscapeRow) -> None:
        """Append a row."""
        self._write(row.to_json())
        self._rows.append(row)

    def add_profile(self, profile: RecordedProfile) -> None:
        """Append a profile."""
        self._write(profile.to_json())
        self._profiles.append(profile)

    def _write(self, plain: Mapping[str, Any]) -> None:
        self._stream.write(_line(plain))
        self._stream.flush()
        os.fsync(self._stream.fileno())


def _line(plain: Mapping[str, Any]) -> bytes:
    return json.dumps(plain, allow_nan=False).encode() + b"\n"


def _whole_lines(content: bytes) -> list[str]:
    return content[: content.rfind(b"\n") + 1].decode("utf-8", errors="replace").splitlines()


def _refuse_another(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    before = {**{key: old.get(key) for key in _MUST_MATCH}, "versions": _versions(old)}
    now = {**{key: new.get(key) for key in _MUST_MATCH}, "versions": _versions(new)}
    changed = [key for key in before if before[key] != now[key]]
    if not changed:
        return
    first = changed[0]
    raise DataError(
        f"{path} cannot be continued: {', '.join(changed)} changed; {first} was "
        f"{str(before[first])[:80]} and is {str(now[first])[:80]} now.",
        "Give another --output, or go back to what it was.",
    )


def _versions(header: Mapping[str, Any]) -> dict[str, Any]:
    """Of the packages that make and run the header's models."""
    known = header.get("versions") or {}
    names = (*_MAKE_MODELS, *_OF_FRAMEWORK.get(str(header.get("framework")), ()))
    return {name: known[name] for name in names if name in known}
