"""Facts about the machine and the versions, for the record of a run.

A latency means little without them. Nothing heavy is imported: versions come from package
metadata.
"""

from __future__ import annotations

import os
import platform
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
        "cpu_flags": {flag: flag in flags for flag in _CPU_FLAGS},
        "load_average_1_minute": load,
        "busy": load is not None and load / cores > BUSY_LOAD_PER_CORE,
        "memory_gib": _memory_gib(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "environment": {
            name: os.environ.get(name)
            for name in ("TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
        },
    }


def describe_host(facts: dict[str, Any]) -> str:
    """One line for people: CPU, cores and what helps int8."""
    present = [flag for flag, there in facts["cpu_flags"].items() if there]
    helpful = [flag for flag in present if "vnni" in flag or "amx" in flag or "bf16" in flag]
    kinds = ", ".join(helpful) if helpful else "no VNNI, AMX or bf16: int8 may gain little"
    return f"{facts['cpu']}, {facts['cores']} cores ({kinds})"


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
