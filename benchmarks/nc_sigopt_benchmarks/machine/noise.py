"""How quiet the machine was during a run: what else took CPU time while models were timed.

Load averages cannot tell our own work from that of others; ``/proc/stat`` less the CPU time of our
own process tree can. Where there is no ``/proc`` the verdict rests on the timings alone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_SECONDS_BETWEEN_SAMPLES = 2.0
# Fewer FP32 samples than this say nothing about their spread.
_LEAST_SAMPLES = 5
# A paired ratio over 20 rounds whose latencies spread by 8 % is known to about 2 * 0.08 *
# sqrt(2 / 20) = 5 %: as much as strategies often differ by. At 20 % it is known to 13 %.
_NOISY_CV, _VERY_NOISY_CV = 0.08, 0.20
# A tenth of all cores is, on two of them, a fifth of the time of one: every fifth inference meets
# somebody else. With a third of all cores hardly any is undisturbed.
_NOISY_OTHERS, _VERY_NOISY_OTHERS = 0.10, 0.33
# Stolen time stops an inference in the middle, so that less of it does the same harm.
_NOISY_STEAL, _VERY_NOISY_STEAL = 0.02, 0.10
_QUIET, _NOISY, _VERY_NOISY, _UNKNOWN = "quiet", "noisy", "very noisy", "unknown"


@dataclass(frozen=True)
class _Reading:
    """Clock ticks since boot: of all cores, of those that worked, stolen, and our own."""

    total: int
    busy: int
    steal: int
    own: int


class NoiseMonitor:
    """Watches the machine while its ``with`` block runs.

    Everything that this process and its children do counts as our own.
    """

    def __init__(self) -> None:
        self._readings: list[_Reading] = []
        self._loads: list[float] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="noise-monitor", daemon=True)

    def __enter__(self) -> NoiseMonitor:
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(_SECONDS_BETWEEN_SAMPLES)
        self._sample()

    def facts(self) -> dict[str, Any]:
        """What was seen so far, JSON-safe: shares of all cores' time (0 to 1) and load averages.

        ``None`` where the machine does not tell.
        """
        readings, loads = list(self._readings), list(self._loads)
        total, others, steal = 0, 0, 0
        for before, after in itertools.pairwise(readings):
            total += max(0, after.total - before.total)
            steal += max(0, after.steal - before.steal)
            own = max(0, after.own - before.own)
            others += max(0, after.busy - before.busy - own)
        return {
            "samples": len(loads),
            "other_cpu_share": round(others / total, 4) if total else None,
            "steal_share": round(steal / total, 4) if total else None,
            "load_min": min(loads, default=None),
            "load_median": round(statistics.median(loads), 2) if loads else None,
            "load_max": max(loads, default=None),
        }

    def _watch(self) -> None:
        while not self._done.wait(_SECONDS_BETWEEN_SAMPLES):
            self._sample()

    def _sample(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            self._loads.append(round(os.getloadavg()[0], 2))
        with contextlib.suppress(OSError, ValueError, IndexError):
            self._readings.append(_read(os.getpid()))


def noise_verdict(facts: Mapping[str, Any], fp32_samples: Sequence[float]) -> dict[str, Any]:
    """How far the timings of a run can be trusted.

    Args:
        facts: As ``NoiseMonitor.facts`` returns them; may be empty.
        fp32_samples: Latencies of the FP32 model in seconds, one a round.

    Returns:
        ``facts`` with ``fp32_latency_cv`` (robust: 1.4826 times the median absolute deviation,
        over the median), ``verdict`` (quiet, noisy, very noisy or unknown) and ``sentence``.
    """
    spread = _robust_cv(fp32_samples)
    others, steal = facts.get("other_cpu_share"), facts.get("steal_share")
    grades = [
        _grade(spread, _NOISY_CV, _VERY_NOISY_CV),
        _grade(others, _NOISY_OTHERS, _VERY_NOISY_OTHERS),
        _grade(steal, _NOISY_STEAL, _VERY_NOISY_STEAL),
    ]
    known = [grade for grade in grades if grade is not None]
    verdict = (_QUIET, _NOISY, _VERY_NOISY)[max(known)] if known else _UNKNOWN
    seen = []
    if spread is not None:
        seen.append(f"FP32's latency spread by {_percent(spread)}")
    if others is not None:
        seen.append(f"other processes took {_percent(others)} of the CPU time")
    if steal:
        seen.append(f"the hypervisor took {_percent(steal)}")
    if facts.get("load_median") is not None:
        loads = (facts["load_min"], facts["load_median"], facts["load_max"])
        low, middle, high = (f"{load:.1f}" for load in loads)
        seen.append(f"load average {middle} ({low} to {high}, our own work included)")
    return {
        **facts,
        "fp32_latency_cv": None if spread is None else round(spread, 4),
        "verdict": verdict,
        "sentence": _sentence(verdict, seen),
    }


def _sentence(verdict: str, seen: Sequence[str]) -> str:
    begins = {
        _QUIET: "The machine was quiet",
        _NOISY: "The machine was noisy, small differences in latency mean little",
        _VERY_NOISY: "The machine was very noisy, only large differences in latency mean anything",
        _UNKNOWN: "How quiet the machine was is not known",
    }
    return f"{begins[verdict]}: {', '.join(seen)}." if seen else f"{begins[verdict]}."


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _grade(value: float | None, noisy: float, very_noisy: float) -> int | None:
    """0 to 2 for quiet to very noisy; ``None`` where there is no value."""
    return None if value is None else (value > noisy) + (value > very_noisy)


def _robust_cv(samples: Sequence[float]) -> float | None:
    if len(samples) < _LEAST_SAMPLES:
        return None
    middle = statistics.median(samples)
    if middle <= 0:
        return None
    return 1.4826 * statistics.median(abs(sample - middle) for sample in samples) / middle


def _read(root: int) -> _Reading:
    """Raises OSError, ValueError or IndexError where ``/proc`` is absent or looks different."""
    first = (_PROC / "stat").read_text(encoding="ascii").splitlines()[0].split()
    # proc(5): guest time, in the fields behind these, is in user time already.
    user, nice, system, idle, waiting, interrupts, soft_interrupts, steal = map(int, first[1:9])
    busy = user + nice + system + interrupts + soft_interrupts
    return _Reading(busy + idle + waiting + steal, busy, steal, _ticks_of_tree(root))


def _ticks_of_tree(root: int) -> int:
    """CPU time of a process and its descendants, in clock ticks.

    A process that was waited for is in its parent's figure, one that is alive in its own: the sum
    over those alive counts each once.
    """
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it ended meanwhile
            continue
        # The name, in brackets, may hold blanks and brackets itself.
        fields = text.rpartition(")")[2].split()
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))
    return sum(count for pid, count in ticks.items() if _descends(pid, root, parents))


def _descends(pid: int, root: int, parents: Mapping[int, int]) -> bool:
    # The snapshot is not atomic: a reused number could make a ring of parents.
    for _ in range(len(parents)):
        if pid == root:
            return True
        pid = parents.get(pid, 0)
        if pid == 0:
            return False
    return False
