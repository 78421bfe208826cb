"""The record of an experiment: a document of our stores, or a few entries of metadata."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.experiments.documents import METADATA_STRING
from nc_sigopt_strategy.experiments.record import ExperimentRecord, Reference, is_probed
from nc_sigopt_strategy.sampling.probes import Probe, Probing

# As commit e2c1719 stored it.
STORED: dict[str, Any] = {
    "identity": {"model": "ab12", "data": "cd34", "latency measurement": "timed"},
    "search_space": {
        "parameters": [{"name": "p", "ops": [["conv", "conv2d"]], "values": ["int8", "fp32"]}],
        "fixed": [["relu", "activation", "fp32"]],
        "calibration_sampling_sizes": [100],
    },
    "op_graph": {"parameters": [{"name": "p", "op_type": "conv2d"}], "edges": []},
    "baseline_accuracy": 0.75,
    "accuracy_target": 0.7425,
    "reference": {"model": "default", "seconds": 0.0125},
}


def test_what_is_stored_is_read_and_written_unchanged() -> None:
    record = ExperimentRecord.from_json(STORED)
    assert record.identity == STORED["identity"]
    assert record.reference == Reference("default", 0.0125)
    assert record.to_json() == STORED
    assert json.loads(json.dumps(record.to_json())) == STORED


@pytest.mark.parametrize("missing", STORED)
def test_what_is_missing_stays_missing(missing: str) -> None:
    stored = {key: value for key, value in STORED.items() if key != missing}
    record = ExperimentRecord.from_json(stored)
    assert getattr(record, missing) is None
    assert record.to_json() == stored
    assert ExperimentRecord.from_json({}) == ExperimentRecord()
    assert ExperimentRecord().to_json() == {}


def test_what_a_later_version_keeps_survives() -> None:
    later = {
        **STORED,
        "shards": [1, {"a": None}],
        "reference": {**STORED["reference"], "batch_size": 8},
    }
    record = ExperimentRecord.from_json(later)
    assert record.to_json() == later
    changed = dataclasses.replace(record, baseline_accuracy=0.5)
    assert changed.to_json() == {**later, "baseline_accuracy": 0.5}


def test_what_a_servers_metadata_holds() -> None:
    metadata = ExperimentRecord.from_json(STORED).to_metadata()
    assert metadata == {
        "identity: model": "ab12",
        "identity: data": "cd34",
        "identity: latency measurement": "timed",
        "reference: model": "default",
        "reference: seconds": 0.0125,
        "accuracy_target": 0.7425,
        "baseline_accuracy": 0.75,
    }
    kept = ("identity", "reference", "accuracy_target", "baseline_accuracy")
    record = ExperimentRecord.from_metadata(metadata)
    assert record.to_json() == {key: STORED[key] for key in kept}


def test_metadata_of_another_program() -> None:
    others = {"owner": "somebody", "identity": "x", "note: this": "y", "reference: ": "z"}
    assert ExperimentRecord.from_metadata(others) == ExperimentRecord()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("identity", "abc"),
        ("search_space", [1]),
        ("op_graph", 5),
        ("baseline_accuracy", "high"),
        ("accuracy_target", True),
        ("reference", {"model": "default"}),
        ("reference", {"model": 5, "seconds": 0.1}),
        ("reference", {"model": "default", "seconds": "fast"}),
    ],
)
def test_what_is_none_of_ours(key: str, value: Any) -> None:
    with pytest.raises(ExperimentError, match="which this strategy never writes") as caught:
        ExperimentRecord.from_json({**STORED, key: value})
    assert "sigopt_experiment_id" in caught.value.hint


def probed(count: int) -> ExperimentRecord:
    found = tuple(
        Probe({f"network/block_{n}/convolution": "int8"}, noise=1e-3 / (n + 1))
        for n in range(count)
    )
    return ExperimentRecord(probing=Probing(found, done=True))


def test_what_probes_found_is_kept_in_both_ways() -> None:
    record = probed(60)
    assert ExperimentRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    metadata = record.to_metadata()
    assert 1 < len(metadata) < 20
    assert all(len(str(value)) <= METADATA_STRING for value in metadata.values())
    assert ExperimentRecord.from_metadata(metadata) == record
    assert is_probed(record)


def test_probes_that_a_servers_metadata_has_no_room_for_stay_out() -> None:
    assert probed(2000).to_metadata() == {}


def test_where_a_servers_metadata_has_little_room_profiles_stay_out_first() -> None:
    bare = probed(200)
    assert bare.probing is not None
    names = [f"network/block_{n}/convolution" for n in range(400)]
    profile = Probe({}, op_latency=dict.fromkeys(names, 0.0125))
    timed = Probe({}, latency=1.5, op_latency=dict.fromkeys(names, 0.0125))
    full = dataclasses.replace(bare.probing, found=(*bare.probing.found, profile, timed))
    kept = ExperimentRecord.from_metadata(ExperimentRecord(probing=full).to_metadata()).probing
    assert kept is not None
    assert kept.found == (*bare.probing.found, Probe({}, latency=1.5))


@pytest.mark.parametrize("piece", ["", "[1, 2", 5, "[" * 100_000])
def test_metadata_in_which_a_piece_of_the_probes_was_changed(piece: Any) -> None:
    metadata = {**probed(60).to_metadata(), "probes: 2": piece}
    assert ExperimentRecord.from_metadata(metadata).probing is None
