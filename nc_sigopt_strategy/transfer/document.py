"""What is carried of an experiment: how it was made, its observations or runs, as SigOpt's JSON.

A file of it is one JSON object: ``experiment``, ``observations`` and ``runs`` as SigOpt's API
takes them, beside ``schema_version``. Read is also what people have left of SigOpt's service: an
experiment's JSON as it was fetched, with ``observations`` in it or in a file of their own.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nc_sigopt_strategy.errors import DataError, in_one_line
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.transfer.csv_table import read_observations

SCHEMA_VERSION = 1
_EXPERIMENT, _OBSERVATIONS, _RUNS = "experiment", "observations", "runs"
_RECORD = "record"
# What a new experiment is made from; the rest of an experiment's JSON follows from its history.
_GIVEN = (
    "name", "type", "parameters", "metrics", "conditionals", "linear_constraints", "tasks",
    "metadata", "observation_budget", "budget", "runs_only", "parallel_bandwidth", "num_solutions",
)  # fmt: skip
_RUN = (
    "name", "state", "assignments", "values", "metadata", "dev_metadata", "sys_metadata",
    "datasets", "logs", "model", "source_code", "favorite",
)  # fmt: skip
_OBSERVED = ("assignments", "values", "failed", "metadata", "task")
_USERS_KEYS = ("metadata", "assignments")
_SHOWN = ("object", "enum_index")
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class ExperimentDocument:
    """An experiment to be made.

    Attributes:
        experiment: The body of the request that makes it; what it leaves to SigOpt is left out.
        observations: Bodies of the requests that report them, in their order of arrival; none
            of an AI experiment, where runs bring them.
        runs: Bodies of the requests that make an AI experiment's runs, the oldest first.
        record: What our own stores keep beside it; ``None`` where there is nothing.
        may_be_outside: Whether observations outside of the parameters are taken: a server's were
            made when those were others. In a table they are mistakes.
    """

    experiment: Mapping[str, Any]
    observations: Sequence[Mapping[str, Any]] = ()
    runs: Sequence[Mapping[str, Any]] = ()
    record: Mapping[str, Any] | None = None
    may_be_outside: bool = True

    def to_json(self) -> dict[str, Any]:
        """JSON-safe data, the inverse of ``from_json``."""
        return {
            "schema_version": SCHEMA_VERSION,
            _EXPERIMENT: dict(self.experiment),
            _OBSERVATIONS: [dict(observation) for observation in self.observations],
            _RUNS: [dict(run) for run in self.runs],
            _RECORD: None if self.record is None else dict(self.record),
        }

    @classmethod
    def from_json(cls, document: Any) -> ExperimentDocument:
        """An experiment from its JSON.

        Args:
            document: As ``to_json`` gives it, an experiment as SigOpt's API shows it, or one with
                ``observations`` among its keys; those may be a list or a page of SigOpt's API.

        Raises:
            DataError: It is none of these, or of a later version.
        """
        if not isinstance(document, Mapping):
            raise _not_an_experiment(document)
        version = document.get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise DataError(
                f"The file has schema_version {version!r}; this version reads {SCHEMA_VERSION}.",
                "Import it with the version of nc_sigopt_strategy that wrote it, or a later one.",
            )
        experiment = document.get(_EXPERIMENT, document)
        if not isinstance(experiment, Mapping) or not isinstance(
            experiment.get("parameters"), Sequence
        ):
            raise _not_an_experiment(experiment)
        record = document.get(_RECORD)
        return cls(
            _told(experiment, _GIVEN),
            ()
            if experiment.get("runs_only")
            else observations_of(document.get(_OBSERVATIONS, [])),
            runs_of(document.get(_RUNS, [])),
            record if isinstance(record, Mapping) else None,
        )


def observations_of(listed: Any) -> list[dict[str, Any]]:
    """Bodies of observations from their JSON, the oldest first.

    Args:
        listed: A list of observations, or a page of SigOpt's API (``{"data": [...]}``), whose
            newest comes first unless ids say otherwise.

    Raises:
        DataError: It is neither.
    """
    rows = _rows(listed, "Observations")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping) or not isinstance(row.get("assignments"), Mapping):
            raise DataError(
                f"Observation {number} has no assignments.",
                "An observation names a value for each parameter: "
                '{"assignments": {"x": 1.5}, "values": [{"name": "loss", "value": 0.2}]}.',
            )
    return [_told(row, _OBSERVED) for row in _oldest_first(rows)]


def read_document(path: Path) -> Any:
    """The JSON or YAML in a file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        return yaml.safe_load(text) if path.suffix in _YAML else json.loads(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(
            f"{path} cannot be read: {in_one_line(error)}.",
            "Give a file of JSON (or YAML, by its suffix) in UTF-8.",
        ) from error


def runs_of(listed: Any) -> list[dict[str, Any]]:
    """Bodies of runs from their JSON, the oldest first; deleted ones are left out.

    Args:
        listed: As for ``observations_of``.

    Raises:
        DataError: It is neither.
    """
    rows = _rows(listed, "Runs")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping) or not isinstance(row.get("name"), str):
            raise DataError(f"Run {number} has no name.", 'A run is at least {"name": "..."}.')
    return [_run(row) for row in _oldest_first(rows) if not row.get("deleted")]


def read_experiment(path: Path, observations: Path | None = None) -> ExperimentDocument:
    """The experiment of a file.

    Args:
        path: JSON, or YAML by its suffix.
        observations: Its observations, as CSV or JSON by the suffix; ``None``: in ``path``.

    Raises:
        DataError: A file cannot be read, or does not hold what it should.
    """
    document = ExperimentDocument.from_json(read_document(path))
    if observations is None:
        return document
    if document.observations:
        raise DataError(
            f"{path} holds {len(document.observations)} observations, and {observations} others.",
            "Leave --observations out, or take those of the experiment's file out of it.",
        )
    if observations.suffix == ".csv":
        rows = read_observations(observations, document.experiment)
        return dataclasses.replace(document, observations=rows, may_be_outside=False)
    rows = observations_of(read_document(observations))
    return dataclasses.replace(document, observations=rows)


def write_document(document: ExperimentDocument, path: Path) -> None:
    """Write an experiment as JSON.

    Raises:
        DataError: The file cannot be written.
    """
    try:
        write_whole(path, json.dumps(document.to_json(), indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error}.", "Name a file in a folder that can be written."
        ) from error


def _told(resource: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Those of a resource's keys that say something, as a request takes them."""
    found = {
        # Here the user chose the keys.
        key: resource.get(key) if key in _USERS_KEYS else _as_requested(resource.get(key))
        for key in keys
    }
    return {key: value for key, value in found.items() if not _is_empty(value)}


def _as_requested(value: Any) -> Any:
    """Without what SigOpt only shows: what kind of object something is, and what is not there."""
    if isinstance(value, Mapping):
        items = {key: _as_requested(item) for key, item in value.items() if key not in _SHOWN}
        return {key: item for key, item in items.items() if not _is_empty(item)}
    if isinstance(value, list):
        return [_as_requested(item) for item in value]
    return value


def _is_empty(value: Any) -> bool:
    return (
        value is None or value is False or (isinstance(value, (str, list, Mapping)) and not value)
    )


def _run(row: Mapping[str, Any]) -> dict[str, Any]:
    told = _told(row, _RUN)
    values = {
        name: {key: value for key, value in entry.items() if key != "name"}
        for name, entry in told.get("values", {}).items()
    }
    return {**told, "values": values} if values else told


def _rows(listed: Any, what: str) -> Sequence[Any]:
    rows = listed.get("data") if isinstance(listed, Mapping) else listed
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise DataError(
            f"{what} are of type {type(listed).__name__}, not a list.",
            f'Give a list of {what.lower()}, or a page of them: {{"data": [...]}}.',
        )
    return rows


def _oldest_first(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    ids = [row.get("id") for row in rows]
    try:
        order = [int(str(one)) for one in ids]
    except ValueError:
        return list(rows)
    return [row for _, row in sorted(zip(order, rows, strict=True), key=lambda pair: pair[0])]


def _not_an_experiment(found: object) -> DataError:
    shown = sorted(found) if isinstance(found, Mapping) else type(found).__name__
    return DataError(
        f"The file holds no experiment: {shown} has no parameters.",
        'Give {"experiment": {...}, "observations": [...]}, or an experiment as SigOpt\'s API '
        "shows it, with name, parameters and metrics.",
    )
