"""What a comparison across runtimes comes to, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nc_sigopt_benchmarks.judging.runtime_rows import RuntimeRow
from nc_sigopt_benchmarks.judging.runtime_timing import RuntimeSamples
from nc_sigopt_benchmarks.judging.timing import ratio
from nc_sigopt_strategy.results.interval import Interval


def runtime_verdicts(
    rows: Sequence[RuntimeRow], samples: Sequence[RuntimeSamples], reference: str
) -> list[str]:
    """Which runtime to take, how ours stand beside each runtime's own, and who missed the bound.

    Args:
        rows: All models.
        samples: Their seconds, by batch size.
        reference: Label of the row that speeds are relative to.
    """
    return [
        *_which_to_take(rows, samples, reference),
        *(sentence for row in rows if row.ours for sentence in _beside_own(row, rows, samples)),
        *_misses(rows),
    ]


def fastest(rows: Sequence[RuntimeRow], samples: RuntimeSamples) -> RuntimeRow | None:
    """The row that meets the bound in the least wall time, if any does."""
    able = [row for row in rows if row.meets_bound and row.label in samples.wall]
    return min(
        able, key=lambda row: ratio(row.label, able[0].label, samples.wall).ratio, default=None
    )


def _which_to_take(
    rows: Sequence[RuntimeRow], samples: Sequence[RuntimeSamples], reference: str
) -> Iterator[str]:
    found = [(one, row) for one in samples if (row := fastest(rows, one)) is not None]
    if not found:
        yield "No model that meets the bound was timed: no runtime can be named."
        return
    runtimes = {row.title for _, row in found}
    parts = []
    for one, row in found:
        speed = _speed(row.label, reference, one)
        where = row.label if len(runtimes) == 1 else f"{row.title} with {row.label}"
        text = f"at batch {one.batch_size} {where} ({_times(speed)} {reference}"
        tied = [other.label for other in _tied(row, rows, one)]
        text += f"; {', '.join(tied)} cannot be told from it" if tied else ""
        parts.append(text + ")")
    take = f"Take {runtimes.pop()}" if len(runtimes) == 1 else "Which runtime to take"
    yield f"{take}: {', '.join(parts)}."


def _tied(
    row: RuntimeRow, rows: Sequence[RuntimeRow], samples: RuntimeSamples
) -> list[RuntimeRow]:
    """Other rows that meet the bound, and whose latency may be the same."""
    found = []
    for other in rows:
        if other is row or not other.meets_bound or other.label not in samples.wall:
            continue
        estimate = ratio(other.label, row.label, samples.wall)
        if estimate.low <= 1 <= estimate.high:
            found.append(other)
    return found


def _beside_own(
    row: RuntimeRow, rows: Sequence[RuntimeRow], samples: Sequence[RuntimeSamples]
) -> Iterator[str]:
    """A model of ours beside the fastest that its runtime offers by itself under the bound."""
    own = [other for other in rows if other.runtime == row.runtime and not other.ours]
    parts = []
    for one in samples:
        best = fastest(own, one)
        if best is None or row.label not in one.wall:
            continue
        speed = _speed(row.label, best.label, one)
        parts.append(f"at batch {one.batch_size} {_times(speed)} {best.label}")
    if parts:
        met = "" if row.meets_bound else ", which misses the bound,"
        yield (
            f"{row.label}{met} beside the fastest of {row.title}'s own that meets it: "
            f"{', '.join(parts)}."
        )


def _misses(rows: Sequence[RuntimeRow]) -> Iterator[str]:
    missed = [f"{row.label} ({row.accuracy:.4f})" for row in rows if row.meets_bound is False]
    if missed:
        yield f"The bound is missed by {', '.join(missed)}."


def _speed(name: str, other: str, samples: RuntimeSamples) -> Interval:
    estimate = ratio(name, other, samples.wall)
    return Interval(1 / estimate.ratio, 1 / estimate.high, 1 / estimate.low)


def _times(speed: Interval) -> str:
    if speed.low == speed.high:
        return "as fast as"
    return f"{speed.value:.2f} times as fast, {speed.low:.2f} to {speed.high:.2f}, as"
