"""A trial as SigOpt's JSON holds it: values and metadata of an observation, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.results.metric_names import ACCURACY, DURATION, LATENCY, OUTPUT_NOISE, OWN
from nc_sigopt_strategy.results.paired_inputs import PairedInputs
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

# SigOpt's limits on metadata: 100 keys of 100 characters, strings of 500.
METADATA_STRING = 500
_PHASE_PREFIX = "seconds_"


def observation_request(
    record: TrialRecord,
    metric_names: Sequence[str],
    fingerprint: str | None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of SigOpt's observation create.

    Args:
        record: The trial, measured or failed.
        metric_names: All metrics of the experiment.
        fingerprint: Of the trial's graph, if it was measured.
        extra: Further metadata.

    Raises:
        ExperimentError: A measured trial lacks a finite value for a metric.
    """
    request: dict[str, Any] = {"metadata": {**_metadata(record, fingerprint), **(extra or {})}}
    # What it belongs to: its suggestion, or where that is unknown its assignments.
    if record.suggestion_id is not None:
        request["suggestion"] = record.suggestion_id
    else:
        request["assignments"] = dict(record.assignments)
    if record.state is TrialState.FAILED:
        request["failed"] = True
        return request
    values: list[dict[str, Any]] = []
    for name in metric_names:
        value: dict[str, Any] = {"name": name, "value": _metric(record, name)}
        stddev = {LATENCY: record.latency_stddev, ACCURACY: record.accuracy_stddev}.get(name)
        if stddev is not None:
            value["value_stddev"] = stddev
        values.append(value)
    request["values"] = values
    return request


def record_of(
    document: Any, met: Callable[[float], bool | None]
) -> tuple[TrialRecord, str | None]:
    """An observation as a record, and its graph's fingerprint.

    Args:
        document: The observation as the client returned it.
        met: Whether an accuracy meets the bound.
    """
    metadata = plain_metadata(document.metadata)
    values = {value.name: value for value in document.values or []}
    accuracy = values[ACCURACY].value if ACCURACY in values else None
    record = TrialRecord(
        number=count_in(metadata, "number"),
        state=TrialState.FAILED if document.failed else TrialState.OBSERVED,
        origin=str(metadata.get("origin", "")),
        assignments=dict(document.assignments),
        accuracy=accuracy,
        accuracy_stddev=values[ACCURACY].value_stddev if ACCURACY in values else None,
        paired=PairedInputs.in_metadata(metadata),
        meets_bound=None if accuracy is None else met(accuracy),
        latency_seconds=values[LATENCY].value if LATENCY in values else None,
        latency_stddev=values[LATENCY].value_stddev if LATENCY in values else None,
        latency_ratio=number_in(metadata, "latency_ratio"),
        duration_seconds=values[DURATION].value if DURATION in values else None,
        output_noise=values[OUTPUT_NOISE].value if OUTPUT_NOISE in values else None,
        failure=_text_in(metadata, "failure"),
        duplicate_of=count_in(metadata, "duplicate_of") or None,
        phase_seconds={
            key[len(_PHASE_PREFIX) :]: seconds
            for key in metadata
            if key.startswith(_PHASE_PREFIX) and (seconds := number_in(metadata, key)) is not None
        },
        started_seconds=number_in(metadata, "started_seconds") or 0.0,
        ended_seconds=number_in(metadata, "ended_seconds") or 0.0,
        suggestion_id=None if document.suggestion is None else str(document.suggestion),
        interrupted=bool(metadata.get("interrupted")),
        stored_metrics={n: found.value for n, found in values.items() if n not in OWN},
        worker=_text_in(metadata, "worker"),
        machine=_text_in(metadata, "machine"),
        observation_id=str(document.id),
    )
    return record, _text_in(metadata, "fingerprint")


def plain_metadata(metadata: Any) -> dict[str, Any]:
    """Metadata as a dict, from whatever the client makes of it."""
    if metadata is None:
        return {}
    return dict(metadata.to_json() if hasattr(metadata, "to_json") else json.loads(str(metadata)))


def number_in(metadata: Mapping[str, Any], key: str) -> float | None:
    """A number in metadata; ``None`` where there is none, since any program may write there."""
    value = metadata.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def count_in(metadata: Mapping[str, Any], key: str) -> int:
    """A count in metadata; 0 where there is none."""
    return max(0, int(number_in(metadata, key) or 0))


def _text_in(metadata: Mapping[str, Any], key: str) -> str | None:
    value = metadata.get(key)
    return value if isinstance(value, str) else None


def _metric(record: TrialRecord, name: str) -> float:
    value = {
        ACCURACY: record.accuracy,
        LATENCY: record.latency_seconds,
        DURATION: record.duration_seconds,
        OUTPUT_NOISE: record.output_noise,
    }.get(name, record.stored_metrics.get(name))
    if value is None or not math.isfinite(value):
        raise ExperimentError(f"Trial {record.number} has no finite value for metric {name!r}.")
    return float(value)


def _metadata(record: TrialRecord, fingerprint: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "number": record.number,
        "origin": record.origin,
        "started_seconds": record.started_seconds,
        "ended_seconds": record.ended_seconds,
        "latency_ratio": record.latency_ratio,
        "duplicate_of": record.duplicate_of,
        "failure": record.failure,
        "interrupted": 1 if record.interrupted else None,
        "fingerprint": fingerprint,
        "worker": record.worker,
        "machine": record.machine,
    }
    if record.paired is not None:
        metadata.update(record.paired.as_metadata())
    metadata.update({_PHASE_PREFIX + name: s for name, s in record.phase_seconds.items()})
    return {
        key: value[:METADATA_STRING] if isinstance(value, str) else value
        for key, value in metadata.items()
        if value is not None
    }
