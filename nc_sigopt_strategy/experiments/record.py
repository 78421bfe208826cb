"""What is kept with an experiment beside its trials, and how it is stored.

Our own stores keep a JSON document of any size beside an experiment. A SigOpt server has only
metadata (100 entries of 500 characters), so what another worker needs to join goes there: what
must be the same, the reference that latencies are ratios to, what accuracy has to reach, and what
probes found as far as that has room.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.sampling.probes import Probing

# Names in the stored document, and of what a server's metadata holds too.
_IDENTITY, _REFERENCE = _NESTED = ("identity", "reference")
_ACCURACY_TARGET, _BASELINE, _CONFIDENCE = _PLAIN = (
    "accuracy_target",
    "baseline_accuracy",
    "bound_confidence",
)
_SEARCH_SPACE, _OP_GRAPH, _PROBES = "search_space", "op_graph", "probes"
_TITLE = "model"
_KEYS = (*_NESTED, *_PLAIN, _SEARCH_SPACE, _OP_GRAPH, _PROBES, _TITLE)
# Probes are a long text there: pieces of it, each an entry, at most so many.
_PIECE, _MOST_PIECES = 500, 70
_MODEL, _SECONDS, _FP32_SECONDS = "model", "seconds", "fp32_seconds"


@dataclass(frozen=True)
class Reference:
    """What latencies are ratios to.

    Attributes:
        model: ``default``, the default int8 configuration, or ``fp32``.
        seconds: Its latency when it was first timed.
        fp32_seconds: FP32's at the same time; ``None`` where it is not known.
        other: What a later version keeps with it.
    """

    model: str
    seconds: float
    fp32_seconds: float | None = None
    other: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Reference:
        """The inverse of ``to_json``.

        Raises:
            ExperimentError: It is none.
        """
        model, seconds = document.get(_MODEL), _number(document, _SECONDS)
        if not isinstance(model, str) or seconds is None:
            raise _unusable(_REFERENCE, document)
        known = (_MODEL, _SECONDS, _FP32_SECONDS)
        rest = {key: value for key, value in document.items() if key not in known}
        return cls(model, seconds, _number(document, _FP32_SECONDS), rest)

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe document."""
        fp32 = {} if self.fp32_seconds is None else {_FP32_SECONDS: self.fp32_seconds}
        return {**self.other, _MODEL: self.model, _SECONDS: self.seconds, **fp32}


@dataclass(frozen=True)
class ExperimentRecord:
    """The record of an experiment; what is not known is ``None``.

    Attributes:
        identity: What must be the same to continue it, as ``Identity.fingerprints`` gives it.
        search_space: Ops, parameters and values, as ``SearchSpace.describe`` gives them.
        op_graph: Sizes of parameters and edges between them, see ``parameter_graph``.
        baseline_accuracy: Accuracy of the FP32 model.
        accuracy_target: What accuracy has to reach where the metric has no threshold.
        bound_confidence: With what probability the winner is to keep the bound on other data;
            ``None`` for even odds.
        reference: What latencies are ratios to, once something has been timed.
        probing: What probes found; ``None`` where nobody has probed.
        model: What the user calls the model, and what runs it; for people who look.
        other: What a later version keeps; it survives that this one writes the record.
    """

    identity: Mapping[str, str] | None = None
    search_space: Mapping[str, Any] | None = None
    op_graph: Mapping[str, Any] | None = None
    baseline_accuracy: float | None = None
    accuracy_target: float | None = None
    bound_confidence: float | None = None
    reference: Reference | None = None
    probing: Probing | None = None
    model: str | None = None
    other: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, document: Any) -> ExperimentRecord:
        """The inverse of ``to_json``.

        Raises:
            ExperimentError: Something in it is not what this strategy writes.
        """
        if not isinstance(document, Mapping):
            raise _unusable("record", document)
        reference = _mapping(document, _REFERENCE)
        return cls(
            identity=_mapping(document, _IDENTITY),
            search_space=_mapping(document, _SEARCH_SPACE),
            op_graph=_mapping(document, _OP_GRAPH),
            baseline_accuracy=_number(document, _BASELINE),
            accuracy_target=_number(document, _ACCURACY_TARGET),
            bound_confidence=_number(document, _CONFIDENCE),
            reference=None if reference is None else Reference.from_json(reference),
            probing=Probing.from_json(document.get(_PROBES)),
            model=_text(document, _TITLE),
            other={key: value for key, value in document.items() if key not in _KEYS},
        )

    def to_json(self) -> dict[str, Any]:
        """The document that our own stores keep."""
        known = {
            _IDENTITY: _plain(self.identity),
            _SEARCH_SPACE: _plain(self.search_space),
            _OP_GRAPH: _plain(self.op_graph),
            _BASELINE: self.baseline_accuracy,
            _ACCURACY_TARGET: self.accuracy_target,
            _CONFIDENCE: self.bound_confidence,
            _REFERENCE: None if self.reference is None else self.reference.to_json(),
            _PROBES: None if self.probing is None else self.probing.to_json(),
            _TITLE: self.model,
        }
        found = {key: value for key, value in known.items() if value is not None}
        return {**self.other, **found}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> ExperimentRecord:
        """The inverse of ``to_metadata``; empty where the metadata is of another program.

        Raises:
            ExperimentError: As ``from_json``.
        """
        document: dict[str, Any] = {key: metadata[key] for key in _PLAIN if key in metadata}
        for key, value in metadata.items():
            part, _, name = key.partition(": ")
            if part in _NESTED and name:
                document.setdefault(part, {})[name] = value
        document[_PROBES] = _joined(metadata)
        return cls.from_json(document)

    def to_metadata(self) -> dict[str, str | float]:
        """What a SigOpt server keeps of it: entries of the experiment's metadata."""
        document = self.to_json()
        metadata: dict[str, str | float] = {
            f"{part}: {key}": value
            for part in _NESTED
            for key, value in document.get(part, {}).items()
        }
        metadata.update({key: document[key] for key in _PLAIN if key in document})
        metadata.update(_pieces(document.get(_PROBES)))
        return metadata


def is_probed(record: ExperimentRecord) -> bool:
    """Whether all probes have been made, or it was decided to make none."""
    return record.probing is not None and record.probing.done


def _pieces(probes: Mapping[str, Any] | None) -> dict[str, str]:
    """What probes found as entries of metadata; none where they would be too many.

    The times of single ops are the longest part, and are left out first.
    """
    probing = Probing.from_json(probes)
    if probing is None:
        return {}
    for kept in (probing, probing.without_profiles()):
        text = json.dumps(kept.to_json(), separators=(",", ":"))
        pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
        if len(pieces) <= _MOST_PIECES:
            return {f"{_PROBES}: {number}": piece for number, piece in enumerate(pieces, 1)}
    return {}


def _joined(metadata: Mapping[str, Any]) -> object:
    """The inverse of ``_pieces``; ``None`` where a piece is missing or was changed."""
    text = ""
    for number in range(1, _MOST_PIECES + 1):
        piece = metadata.get(f"{_PROBES}: {number}")
        if not isinstance(piece, str):
            break
        text += piece
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _plain(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    value = document.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise _unusable(key, value)
    return value


def _text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise _unusable(key, value)
    return value


def _number(document: Mapping[str, Any], key: str) -> float | None:
    value = document.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _unusable(key, value)
    return float(value)


def _unusable(key: str, value: object) -> ExperimentError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:80] + " ..."
    return ExperimentError(
        f"The experiment's record holds {shown} under {key!r}, which this strategy never writes.",
        "Leave sigopt_experiment_id out to create a new one.",
    )
