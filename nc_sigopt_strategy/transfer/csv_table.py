"""Observations from a table, a row each, whose columns are named after parameters and metrics."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import DataError, in_one_line

# How a column is called where its plain name could mean something else.
_PARAMETER = ("{0}", "parameter.{0}", "assignments.{0}", "parameter-{0}")
_VALUE = ("{0}", "metric.{0}", "values.{0}", "value-{0}")
_STDDEV = ("{0}.stddev", "stddev.{0}", "metric.{0}.stddev", "value_stddev-{0}", "{0}_stddev")
_METADATA = ("metadata.", "metadata-")
_FAILED = "failed"
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no", ""})


def read_observations(path: Path, experiment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The observations of a CSV file, in the order of its rows.

    A parameter is the column of its name, or ``parameter.<name>``; a metric the column of its
    name, or ``metric.<name>``, its standard deviation ``stddev.<name>``. ``failed`` and
    ``metadata.<key>`` may be there; other columns are passed over.

    Args:
        path: A CSV file with a heading, in UTF-8.
        experiment: With ``parameters`` and ``metrics``, which say what the columns mean.

    Raises:
        DataError: The file cannot be read, a parameter has no column, or a cell is not what its
            parameter or metric takes.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            heading = list(reader.fieldnames or ())
            columns = _Columns(path, heading, experiment)
            return [columns.observation(row, reader.line_num) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path} cannot be read: {in_one_line(error)}.", "Give a CSV file in UTF-8."
        ) from error


class _Columns:
    """What each column of a file means.

    Args:
        path: For errors.
        heading: Names of the columns.
        experiment: See ``read_observations``.
    """

    def __init__(self, path: Path, heading: Sequence[str], experiment: Mapping[str, Any]) -> None:
        self._path = path
        metrics = [
            metric if isinstance(metric, str) else str(metric["name"])
            for metric in experiment.get("metrics", ())
        ]
        self._parameters = {
            str(parameter["name"]): (self._column(heading, parameter["name"], metrics), parameter)
            for parameter in experiment["parameters"]
        }
        self._values = {name: _first(heading, _VALUE, name) for name in metrics}
        self._stddevs = {name: _first(heading, _STDDEV, name) for name in metrics}
        self._metadata = {
            column: column[len(prefix) :]
            for column in heading
            for prefix in _METADATA
            if column.startswith(prefix)
        }

    def observation(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        """The body of a row's observation."""
        assignments = {
            name: self._typed(row.get(column), parameter, line, column)
            for name, (column, parameter) in self._parameters.items()
        }
        values = [
            value
            for name, column in self._values.items()
            if column is not None and (value := self._value(name, row, column, line)) is not None
        ]
        body: dict[str, Any] = {"assignments": assignments}
        if self._failed(row, line) or not values:
            body["failed"] = True
        else:
            body["values"] = values
        metadata = {key: row[column] for column, key in self._metadata.items() if row.get(column)}
        return {**body, "metadata": metadata} if metadata else body

    def _column(self, heading: Sequence[str], name: str, metrics: Sequence[str]) -> str:
        # Of a parameter that is called like a metric the plain column is the metric's.
        patterns = _PARAMETER[1:] if name in metrics else _PARAMETER
        column = _first(heading, patterns, name)
        if column is None:
            raise DataError(
                f"{self._path} has no column for the parameter {name!r}; it has "
                f"{', '.join(map(repr, heading)) or 'none'}.",
                f"Name the column {name!r} or {f'parameter.{name}'!r}.",
            )
        return column

    def _value(
        self, name: str, row: Mapping[str, Any], column: str, line: int
    ) -> dict[str, Any] | None:
        if not row.get(column):
            return None
        value: dict[str, Any] = {"name": name, "value": self._number(row[column], line, column)}
        stddev = self._stddevs[name]
        if stddev is not None and row.get(stddev):
            value["value_stddev"] = self._number(row[stddev], line, stddev)
        return value

    def _typed(self, cell: Any, parameter: Mapping[str, Any], line: int, column: str) -> Any:
        if not cell:
            raise self._wrong(cell, line, column, "a value")
        if parameter.get("type") == "categorical":
            return cell
        number = self._number(cell, line, column)
        if parameter.get("type") != "int":
            return number
        if not number.is_integer():
            raise self._wrong(cell, line, column, "a whole number")
        return int(number)

    def _number(self, cell: Any, line: int, column: str) -> float:
        try:
            return float(cell)
        except ValueError:
            raise self._wrong(cell, line, column, "a number") from None

    def _failed(self, row: Mapping[str, Any], line: int) -> bool:
        cell = str(row.get(_FAILED) or "").strip().lower()
        if cell not in _TRUE | _FALSE:
            raise self._wrong(row[_FAILED], line, _FAILED, "true or false")
        return cell in _TRUE

    def _wrong(self, cell: Any, line: int, column: str, expected: str) -> DataError:
        return DataError(
            f"{self._path}, line {line}, column {column!r} holds {cell!r}.",
            f"It takes {expected}.",
        )


def _first(heading: Sequence[str], patterns: Sequence[str], name: str) -> str | None:
    candidates = (pattern.format(name) for pattern in patterns)
    return next((column for column in candidates if column in heading), None)
