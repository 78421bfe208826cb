"""Facts about the machine and the versions, for the record of a run.

A latency means little without them. Nothing heavy is imported: versions come from package
metadata.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

# What decides how fast int8 and bf16 run on an Intel CPU; as the kernel names them.
_CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_PACKAGES = (
    "neural-compressor",
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "onnxruntime",
    "sigopt",
    "optuna",
    "numpy",
)
# With one of these an int8 product and its sum take one instruction; without, int8 needs three.
_INT8_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8")
# What a process can set and that changes which kernels run, and on how many threads.
_ENVIRONMENT = (
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
_CPU_FOLDER = Path("/sys/devices/system/cpu")
# Where the load per core is above this, other processes take turns with the model that is timed.
BUSY_LOAD_PER_CORE = 0.5


def host_facts() -> dict[str, Any]:
    """CPU, cores, load and versions as plain, JSON-safe data."""
    name, flags = _cpu()
    cores = usable_cores()
    load = _load_average()
    return {
        "cpu": name,
        "cores": cores,
        "threads_per_core": _threads_per_core(),
        "cpu_flags": {flag: flag in flags for flag in _CPU_FLAGS},
        "governor": _governor(),
        "load_average_1_minute": load,
        "busy": load is not None and load / cores > BUSY_LOAD_PER_CORE,
        "memory_gib": _memory_gib(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "environment": {name: os.environ.get(name) for name in _ENVIRONMENT},
    }


def describe_host(facts: Mapping[str, Any]) -> str:
    """One line for people: CPU, cores, what helps int8, governor and what the user has set."""
    present = [flag for flag, there in (facts.get("cpu_flags") or {}).items() if there]
    helpful = [flag for flag in present if "vnni" in flag or "amx" in flag or "bf16" in flag]
    kinds = ", ".join(helpful) if helpful else "no VNNI, AMX or bf16: int8 may gain little"
    text = f"{facts.get('cpu', 'unknown CPU')}, {facts.get('cores', '?')} cores ({kinds})"
    if facts.get("governor"):
        text += f", governor {facts['governor']}"
    set_by_user = [
        f"{name}={value}"
        for name, value in (facts.get("environment") or {}).items()
        if value is not None
    ]
    return ", ".join([text, *set_by_user])


def helps_int8(facts: Mapping[str, Any]) -> bool:
    """Whether the CPU has instructions for int8 products: VNNI, or AMX's for int8."""
    flags = facts.get("cpu_flags") or {}
    return any(flags.get(flag) for flag in _INT8_FLAGS)


def host_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Why latencies on two hosts cannot be compared, a phrase each; empty for the same host.

    What only one of the two records is no difference: earlier versions recorded less.

    Args:
        one: Facts as ``host_facts`` returns them.
        other: The same of the other.
    """
    differences = [
        f"{name}: {_shown(one[key], 'none')} and {_shown(other[key], 'none')}"
        for key, name in (("cpu", "CPU"), ("cores", "cores"), ("governor", "governor"))
        if key in one and key in other and one[key] != other[key]
    ]
    if "python" in one and "python" in other and one["python"] != other["python"]:
        differences.append(f"Python: {one['python']} and {other['python']}")
    for key, absent in (("cpu_flags", "no"), ("versions", "none"), ("environment", "unset")):
        first, second = one.get(key), other.get(key)
        if not isinstance(first, Mapping) or not isinstance(second, Mapping):
            continue
        # A package that one record lacks is not installed there; a flag or variable is unknown.
        names = {**first, **second} if key == "versions" else set(first) & set(second)
        differences.extend(
            f"{name}: {_shown(first.get(name), absent)} and {_shown(second.get(name), absent)}"
            for name in sorted(names)
            if first.get(name) != second.get(name)
        )
    return differences


def _shown(value: object, absent: str) -> str:
    if value is True:
        return "yes"
    return absent if value in (None, False) else str(value)


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> tuple[str, frozenset[str]]:
    name, flags = platform.processor() or platform.machine() or "unknown CPU", frozenset[str]()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return name, flags
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() == "flags":
            flags = frozenset(value.split())
            break
    return name, flags


def _governor() -> str | None:
    """How the kernel picks the clock rate; the names, where cores differ in it."""
    found = set()
    for path in _CPU_FOLDER.glob("cpu[0-9]*/cpufreq/scaling_governor"):
        try:
            found.add(path.read_text(encoding="utf-8").strip())
        except OSError:  # a core that is offline
            continue
    return ", ".join(sorted(found)) or None


def _threads_per_core() -> int | None:
    """Hardware threads that share the first core: 2 with hyper-threading."""
    try:
        text = (_CPU_FOLDER / "cpu0/topology/thread_siblings_list").read_text(encoding="utf-8")
        siblings = 0
        for part in text.strip().split(","):
            first, _, last = part.partition("-")
            siblings += int(last or first) - int(first) + 1
    except (OSError, ValueError):
        return None
    return siblings


def _load_average() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _memory_gib() -> float | None:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return round(total / 2**30, 1)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
