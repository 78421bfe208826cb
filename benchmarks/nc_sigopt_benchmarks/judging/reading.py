"""A comparison from what ``Comparison.to_json`` made of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nc_sigopt_benchmarks.judging.comparison import (
    RESULTS_SCHEMA_VERSION,
    Comparison,
    StrategyResult,
)
from nc_sigopt_benchmarks.judging.runtime_rows import BatchTiming, RuntimeRow
from nc_sigopt_benchmarks.judging.timed_models import HeldOut, PairedComparison, TimedModel
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord

Kind = TypeVar("Kind")
Raw = Mapping[str, Any]


def comparison_from_json(raw: Any) -> Comparison:
    """The inverse of ``Comparison.to_json``.

    Raises:
        DataError: ``raw`` is no comparison, is damaged or has another schema version.
    """
    version = raw.get("schema_version") if isinstance(raw, Mapping) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError(
            f"This is no comparison: its schema_version is {version!r}.",
            "Name a results.json that nc-sigopt compare has written.",
        )
    if version != RESULTS_SCHEMA_VERSION:
        later = version > RESULTS_SCHEMA_VERSION
        raise DataError(
            f"The comparison has schema version {version}; this version of nc_sigopt_strategy "
            f"reads up to {RESULTS_SCHEMA_VERSION}, and none before it.",
            "Update it: pip install --upgrade nc_sigopt_strategy"
            if later
            else "Run it again: nc-sigopt compare CONFIG.",
        )
    try:
        return _comparison(raw)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"The comparison is damaged: {type(error).__name__}: {error}.",
            "Make it again: nc-sigopt compare CONFIG --resume DIR keeps the runs that are whole.",
        ) from error


def _comparison(raw: Raw) -> Comparison:
    values = _known(Comparison, raw)
    values["strategies"] = tuple(map(_strategy, values["strategies"]))
    for name in ("verdicts", "joined_from"):
        values[name] = tuple(values.get(name) or ())
    values["runtimes"] = tuple(map(_runtime_row, values.get("runtimes") or ()))
    _convert(values, "fp32", _timed)
    _convert(values, "default_int8", _timed)
    _convert(values, "default_int8_trial", TrialRecord.from_json)
    return Comparison(**values)


def _strategy(raw: Raw) -> StrategyResult:
    values = _known(StrategyResult, raw)
    values["trials"] = tuple(map(TrialRecord.from_json, values.get("trials") or ()))
    _convert(values, "outcome", Outcome.from_json)
    _convert(values, "timed", _timed)
    _convert(values, "accuracy_interval", _interval)
    _convert(values, "over_basic", _paired)
    _convert(values, "held_out", _held_out)
    return StrategyResult(**values)


def _runtime_row(raw: Raw) -> RuntimeRow:
    values = _known(RuntimeRow, raw)
    values["remarks"] = tuple(values.get("remarks") or ())
    values["timings"] = tuple(
        BatchTiming(timing["batch_size"], _timed(timing["wall"]), _timed(timing["cpu"]))
        for timing in values.get("timings") or ()
    )
    _convert(values, "accuracy_interval", _interval)
    _convert(values, "held_out", _held_out)
    return RuntimeRow(**values)


def _timed(raw: Raw) -> TimedModel:
    return TimedModel(
        _interval(raw["latency_seconds"]),
        _interval(raw["speedup"]),
        tuple(map(_number, raw.get("samples") or ())),
    )


def _paired(raw: Raw) -> PairedComparison:
    return PairedComparison(_interval(raw["speedup"]), _interval(raw["difference_seconds"]))


def _held_out(raw: Raw) -> HeldOut:
    values = _known(HeldOut, raw)
    values["drop"] = _interval(values["drop"])
    return HeldOut(**values)


def _interval(raw: Raw) -> Interval:
    return Interval(_number(raw["value"]), _number(raw["low"]), _number(raw["high"]))


def _number(value: float | None) -> float:
    """What JSON has no word for was written as ``null``."""
    return math.nan if value is None else float(value)


def _known(kind: type[Any], raw: Raw) -> dict[str, Any]:
    """What of ``raw`` the dataclass has a field for."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {key: value for key, value in raw.items() if key in names}


def _convert(values: dict[str, Any], name: str, read: Callable[[Raw], Kind]) -> None:
    if values.get(name) is not None:
        values[name] = read(values[name])
