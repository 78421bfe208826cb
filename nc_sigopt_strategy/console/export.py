"""The observations of an experiment as a table for other programs."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import DataError, needed
from nc_sigopt_strategy.experiments.record import ExperimentRecord
from nc_sigopt_strategy.files import write_whole

# 2: each column says by its prefix what it holds.
EXPORT_SCHEMA_VERSION = 2
STANDARD_OUTPUT = Path("-")
_CSV, _PARQUET = ".csv", ".parquet"
_EXTRA = "nc_sigopt_strategy[export]"
# What a spreadsheet takes for the start of a formula, and runs.
_FORMULA = tuple("=+-@\t\n＝＋－＠")
Row = dict[str, Any]


def observation_rows(connection: Any, experiment_id: str) -> list[Row]:
    """One row per observation, oldest first.

    Columns: ``observation``, ``suggestion``, ``created`` (seconds since 1970), ``failed``; each
    metric as ``metric.<name>`` and its standard deviation as ``stddev.<name>``; each parameter as
    ``op:<full names of its ops>``, as ``parameter.<name>`` where the record knows no ops of it or
    another has the same; the rest of the metadata as ``metadata.<key>``. No two kinds share a
    column, whatever they are called.

    Args:
        connection: A ``sigopt.Connection``.
        experiment_id: Of an experiment that is there.
    """
    endpoint = connection.experiments(experiment_id)
    titles = _titles(connection, experiment_id)
    observations = endpoint.observations().fetch().iterate_pages()
    rows = [_row(observation, titles) for observation in observations]
    return sorted(rows, key=lambda row: row["observation"])


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows as CSV or Parquet, by the file's suffix; ``-`` is CSV on standard output.

    Spreadsheets run text that begins like a formula. In CSV such text has an apostrophe in front,
    which they take for "this is text"; Parquet keeps text as it is.

    Raises:
        DataError: The suffix is another, or the file cannot be written.
        MissingExtraError: Parquet needs the extra ``export``.
    """
    if path != STANDARD_OUTPUT and path.suffix not in (_CSV, _PARQUET):
        raise DataError(
            f"{path} has neither the suffix {_CSV} nor {_PARQUET}.",
            "The suffix says the format; - writes CSV to standard output.",
        )
    if path == STANDARD_OUTPUT:
        print(_csv(rows), end="")
        return
    try:
        if path.suffix == _PARQUET:
            _write_parquet(rows, path)
        else:
            write_whole(path, _csv(rows))
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error}.", "Name a file in a folder that can be written."
        ) from error


def _titles(connection: Any, experiment_id: str) -> dict[str, str]:
    """Parameter name to its column: the ops that it stands for."""
    driver = connection.impl.driver
    record = driver.request("GET", ["experiments", experiment_id, "record"], None, None)
    described = ExperimentRecord.from_json(record.get("record") or {}).search_space or {}
    ops = {
        parameter["name"]: ", ".join(op[0] for op in parameter["ops"])
        for parameter in described.get("parameters", ())
    }
    shared = Counter(ops.values())
    return {name: f"op:{said}" for name, said in ops.items() if said and shared[said] == 1}


def _row(observation: Any, titles: Mapping[str, str]) -> Row:
    metadata = observation.metadata.to_json() if observation.metadata is not None else {}
    row: Row = {
        "observation": _number(observation.id),
        "suggestion": _number(observation.suggestion),
        "created": observation.created,
        "failed": bool(observation.failed),
    }
    for value in observation.values or ():
        row[f"metric.{value.name}"] = value.value
        if value.value_stddev is not None:
            row[f"stddev.{value.name}"] = value.value_stddev
    for name, value in sorted(dict(observation.assignments or {}).items()):
        row[titles.get(name, f"parameter.{name}")] = value
    row.update({f"metadata.{key}": value for key, value in sorted(metadata.items())})
    return row


def _number(identifier: Any) -> int | None:
    return None if identifier is None else int(identifier)


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _csv(rows: Sequence[Row]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = _columns(rows)
    writer.writerow(map(_as_cell, columns))
    writer.writerows([_as_cell(row.get(name)) for name in columns] for row in rows)
    return stream.getvalue()


def _as_cell(value: Any) -> Any:
    """A value as a spreadsheet shows it and does not run it."""
    if not isinstance(value, str):
        return value
    # Python's csv quotes no lone carriage return, and readers take it for the end of a row.
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _write_parquet(rows: Sequence[Row], path: Path) -> None:
    pyarrow = needed("pyarrow", _EXTRA, what="A .parquet file, unlike a .csv file,")
    parquet = needed("pyarrow.parquet", _EXTRA, what="A .parquet file, unlike a .csv file,")
    columns = {name: [row.get(name) for row in rows] for name in _columns(rows)}
    table = pyarrow.table(columns).replace_schema_metadata(
        {"nc_sigopt_strategy.schema_version": str(EXPORT_SCHEMA_VERSION)}
    )
    partial = path.with_name(f".{path.name}.partial")
    try:
        parquet.write_table(table, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
